package serve

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/ecospa/ecospa/pkg/infer"
)

// response notes what becomes of an answer, for metrics and the access log.
type response struct {
	http.ResponseWriter
	start          time.Time
	status         int
	bytes          int64
	prompt, tokens int
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = 200
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// code is the status that was sent; 499 stands for a client that left before.
func (w *response) code() int {
	if w.status == 0 {
		return 499
	}
	return w.status
}

// json answers with one object.
func (w *response) json(status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // none of the types here can fail
		status, body = 500, []byte(`{"error":{"message":"the answer cannot be encoded as JSON","type":"server_error","param":null,"code":null}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

// apiError is an error in the API's form.
type apiError struct {
	status  int
	message string
	kind    string // "type" in the answer
	param   string // the field that is wrong
	code    string
}

func (e *apiError) Error() string { return e.message }

// bad is the error of one field of a request.
func bad(param, message string) *apiError {
	return &apiError{status: 400, message: message, kind: "invalid_request_error", param: param}
}

// fail answers with an error, unless the answer has begun.
func (w *response) fail(err error) {
	if w.status != 0 {
		return
	}
	e := asAPI(err)
	if e == nil {
		return
	}
	if e.status == 429 {
		w.Header().Set("Retry-After", "1")
	}
	w.json(e.status, errorBody(e))
}

// errorBody is the object that an error is in the API.
func errorBody(e *apiError) map[string]any {
	null := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return map[string]any{"error": map[string]any{"message": e.message, "type": e.kind, "param": null(e.param), "code": null(e.code)}}
}

// asAPI is err in the API's form; nil where the client is gone.
func asAPI(err error) *apiError {
	var e *apiError
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &big):
		return &apiError{status: 413, kind: "invalid_request_error", message: "the request is larger than the server's limit"}
	case errors.Is(err, errGone):
		return nil
	case errors.Is(err, infer.ErrFull):
		return &apiError{status: 429, kind: "rate_limit_error", code: "queue_full", message: "too many requests are waiting; try again later"}
	case errors.Is(err, infer.ErrTooLong):
		return &apiError{status: 400, kind: "invalid_request_error", code: "context_length_exceeded", message: err.Error()}
	case errors.Is(err, infer.ErrClosed):
		return &apiError{status: 503, kind: "server_error", code: "shutting_down", message: "the server is shutting down"}
	}
	return &apiError{status: 500, kind: "server_error", message: err.Error()}
}
