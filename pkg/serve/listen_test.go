package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ecospa/ecospa/internal/fault"
)

// certificate writes one for 127.0.0.1 and its key, and returns who trusts it.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, pool = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem"), x509.NewCertPool()
	for path, block := range map[string]pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(&block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, key, pool
}

// TestTLS: with a certificate a server speaks TLS 1.2 or later and nothing else.
func TestTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	ctx, stop := context.WithCancel(context.Background())
	at, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- New(Options{}).Run(ctx, Listen{Cert: cert, Key: key, Listening: func(url string) { at <- url }})
	}()
	url := <-at
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	r, err := client.Get(url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.TLS == nil || !strings.HasPrefix(url, "https://127.0.0.1:") || r.StatusCode != 503 {
		t.Errorf("%s: status %d, TLS %v", url, r.StatusCode, r.TLS)
	}
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}}
	if r, err := old.Get(url + "/health"); err == nil {
		r.Body.Close()
		t.Error("TLS 1.1 was accepted")
	}
	if r, err := http.Get(strings.Replace(url, "https", "http", 1) + "/health"); err == nil {
		if r.Body.Close(); r.StatusCode != 400 {
			t.Errorf("without TLS: status %d", r.StatusCode)
		}
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for want, l := range map[string]Listen{"gone.pem": {Cert: "gone.pem", Key: key}, cert: {Cert: cert, Key: cert}} {
		if err := New(Options{}).Run(context.Background(), l); fault.Of(err) != fault.Input || !strings.Contains(err.Error(), want) {
			t.Errorf("certificate %s, key %s: %v", l.Cert, l.Key, err)
		}
	}
}
