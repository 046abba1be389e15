package serve

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ecospa/ecospa/internal/units"
	"github.com/ecospa/ecospa/pkg/chat"
	"github.com/ecospa/ecospa/pkg/infer"
	"github.com/ecospa/ecospa/pkg/tokenizer"
)

// Model is what a server answers with.
type Model struct {
	ID        string // name in answers
	Created   time.Time
	Scheduler *infer.Scheduler // nil of an encoder
	Embedder  *Embedder        // of an encoder; else nil
	Tokenizer tokenizer.Tokenizer
	Ends      []int32        // ids that end a text
	Chat      *chat.Template // nil when the model has none
	// Names of special tokens, "" where there is none, for /tokenizer_info.
	BOS, EOS, Pad string
}

// Options are a server's limits.
type Options struct {
	APIKey    string // asked for as "Authorization: Bearer KEY"; "" asks for none
	MaxBody   int64  // bytes of a request; default 8 MiB
	MaxBodies int64  // bytes of all requests that are held at once; default 64 times MaxBody
	MaxTokens int    // new tokens of a request where it names none in a chat; default 1024
	AccessLog func(Access)
}

// Access is a line of the access log: what was asked and how it went, nothing of
// what was said.
type Access struct {
	Time     time.Time
	Remote   string
	Method   string
	Path     string
	Status   int
	Bytes    int64 // of the answer's body
	Duration time.Duration
	Prompt   int // tokens
	Tokens   int // generated
}

// Server is the HTTP side of a model. Its zero value is loading: it answers 503
// until Ready is called.
type Server struct {
	o       Options
	model   atomic.Pointer[Model]
	metrics metrics
	mux     *http.ServeMux
	bodies  atomic.Int64 // bytes of requests that are held
}

// New makes a server that is still loading.
func New(o Options) *Server {
	if o.MaxBody == 0 {
		o.MaxBody = 8 << 20
	}
	if o.MaxBodies == 0 {
		o.MaxBodies = 64 * o.MaxBody
	}
	if o.MaxTokens == 0 {
		o.MaxTokens = 1024
	}
	s := &Server{o: o, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /health", s.health)
	s.mux.HandleFunc("GET /metrics", s.showMetrics)
	s.mux.HandleFunc("GET /{$}", page)
	s.serve("GET /v1/models", s.models)
	s.serve("GET /v1/models/{id...}", s.oneModel)
	s.serve("GET /tokenizer_info", s.tokenizerInfo)
	s.serve("POST /tokenize", s.tokenize)
	s.serve("POST /detokenize", s.detokenize)
	s.serve("POST /v1/completions", writes(s.completions))
	s.serve("POST /v1/chat/completions", writes(s.chat))
	s.serve("POST /v1/embeddings", s.embeddings)
	return s
}

// Ready gives the server its model.
func (s *Server) Ready(m *Model) { s.model.Store(m) }

// handler answers one call of the API; an error becomes its answer.
type handler func(m *Model, w *response, r *http.Request) error

// writes is a call that only a model which writes text answers.
func writes(h handler) handler {
	return func(m *Model, w *response, r *http.Request) error {
		if m.Scheduler == nil {
			return &apiError{status: 400, kind: "invalid_request_error", code: "model_not_supported", message: m.ID + " is an encoder, which writes no text: it answers /v1/embeddings"}
		}
		return h(m, w, r)
	}
}

// String says what the model is ready for.
func (m *Model) String() string {
	if m.Embedder != nil {
		return fmt.Sprintf("%s, vectors of texts of up to %d tokens", m.ID, m.context())
	}
	st := m.Scheduler.Stats()
	return fmt.Sprintf("%s, context %d tokens, %s for keys and values", m.ID, m.context(), units.Bytes(int64(st.Pages)*st.PageBytes))
}

// context is the longest text in tokens.
func (m *Model) context() int {
	if m.Embedder != nil {
		return m.Embedder.Texts.MaxTokens
	}
	return m.Scheduler.Context()
}

// serve registers a call that needs the key and the model.
func (s *Server) serve(pattern string, h handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		rw := w.(*response)
		if !s.allowed(r) {
			rw.Header().Set("WWW-Authenticate", "Bearer")
			rw.fail(&apiError{status: 401, kind: "authentication_error", code: "invalid_api_key", message: "the API key is missing or wrong: send it as Authorization: Bearer KEY"})
			return
		}
		m := s.model.Load()
		if m == nil {
			rw.fail(errLoading)
			return
		}
		body := &heldBody{from: http.MaxBytesReader(rw, r.Body, s.o.MaxBody), s: s}
		defer func() { s.bodies.Add(-body.bytes) }()
		err := takeBody(rw, r, body)
		if err == nil {
			err = h(m, rw, r)
		}
		if err != nil {
			rw.fail(err)
		}
	})
}

// takeBody reads the whole request, so that the time for reading it does not
// end an answer that takes longer.
func takeBody(w *response, r *http.Request, from *heldBody) error {
	body, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	http.NewResponseController(w).SetReadDeadline(time.Time{}) // a test's recorder has none
	return nil
}

// heldBody counts what is read of a request, so that many large ones at once are
// answered 429 and do not fill the memory.
type heldBody struct {
	from  io.Reader
	s     *Server
	bytes int64
}

func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.bytes += int64(n)
	if b.s.bodies.Add(int64(n)) > b.s.o.MaxBodies {
		return n, errBodies
	}
	return n, err
}

var errBodies = &apiError{status: 429, kind: "rate_limit_error", code: "server_busy", message: "too many large requests at once; try again later"}

var errLoading = &apiError{status: 503, kind: "server_error", code: "model_loading", message: "the model is still being loaded"}

// allowed compares the key in constant time.
func (s *Server) allowed(r *http.Request) bool {
	if s.o.APIKey == "" {
		return true
	}
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(key), []byte(s.o.APIKey)) == 1
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rw := &response{ResponseWriter: w, start: time.Now()}
	s.metrics.inFlight.Add(1)
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			rw.fail(fmt.Errorf("internal error: %v", v)) // a fault here is one client's answer, not the server's end
		}
		s.metrics.inFlight.Add(-1)
		s.metrics.request(r.Pattern, rw.code(), time.Since(rw.start))
		if s.o.AccessLog != nil {
			s.o.AccessLog(Access{
				Time: rw.start, Remote: r.RemoteAddr, Method: r.Method, Path: r.URL.Path, Status: rw.code(), Bytes: rw.bytes,
				Duration: time.Since(rw.start), Prompt: rw.prompt, Tokens: rw.tokens,
			})
		}
	}()
	if _, pattern := s.mux.Handler(r); pattern == "" {
		s.unknown(rw, r)
		return
	}
	s.mux.ServeHTTP(rw, r)
}

// unknown answers what no call matches, in the API's own form.
func (s *Server) unknown(w *response, r *http.Request) {
	for _, method := range []string{"GET", "POST"} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := s.mux.Handler(other); pattern != "" {
			w.Header().Set("Allow", method)
			w.fail(&apiError{status: 405, kind: "invalid_request_error", message: r.Method + " is not allowed here, expected " + method})
			return
		}
	}
	w.fail(&apiError{status: 404, kind: "invalid_request_error", code: "unknown_url", message: "there is no " + r.URL.Path + " here"})
}

// health is 200 when the model is ready, else 503.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if s.model.Load() == nil {
		w.(*response).fail(errLoading)
		return
	}
	w.(*response).json(200, map[string]string{"status": "ok"})
}
