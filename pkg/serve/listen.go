package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
)

// Listen are the ends of a server's connection.
type Listen struct {
	Host      string        // default 127.0.0.1: this machine only
	Port      int           // 0 takes a free one
	Cert, Key string        // PEM files; both or none
	Log       *log.Logger   // what goes wrong with connections; nil is standard error
	Drain     time.Duration // how long answers under way may take when the server stops; default 30 s
	// Listening, where it is not nil, is called with the address once clients can connect.
	Listening func(url string)
}

// maxConnections bounds the clients at once; more wait in the system's queue.
const maxConnections = 4096

// Run answers until ctx ends, then finishes what is under way.
func (s *Server) Run(ctx context.Context, l Listen) error {
	if l.Host == "" {
		l.Host = "127.0.0.1"
	}
	if l.Drain == 0 {
		l.Drain = 30 * time.Second
	}
	scheme := "http"
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: l.Log,
	}
	if l.Cert != "" {
		pair, err := tls.LoadX509KeyPair(l.Cert, l.Key)
		if err != nil {
			return fault.BadInput(fmt.Errorf("certificate %s, key %s: %w", l.Cert, l.Key, err))
		}
		scheme, srv.TLSConfig = "https", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port)))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	ln = newLimited(ln, maxConnections)
	if l.Listening != nil {
		l.Listening(scheme + "://" + ln.Addr().String())
	}
	done := make(chan error, 1)
	go func() {
		if srv.TLSConfig != nil {
			done <- srv.ServeTLS(ln, "", "")
			return
		}
		done <- srv.Serve(ln)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.Background(), l.Drain)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		srv.Close()
		return fmt.Errorf("stop: requests were still running after %s and were cut off", l.Drain)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// limited accepts at most so many connections at once.
type limited struct {
	net.Listener
	free chan struct{}
}

func newLimited(l net.Listener, n int) net.Listener {
	return &limited{Listener: l, free: make(chan struct{}, n)}
}

func (l *limited) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &counted{Conn: c, free: l.free}, nil
}

// counted gives its place back when it is closed, once.
type counted struct {
	net.Conn
	free chan struct{}
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}
