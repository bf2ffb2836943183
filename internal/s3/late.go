package s3

import (
	"bytes"
	"net/http"
)

// LateAnswer is the answer to an operation that may take longer than a client
// or something on the way waits in silence: CompleteMultipartUpload, CopyObject
// and UploadPartCopy. As long as nothing was sent it is an answer like any
// other. After the first Blank its status is 200, whatever comes: an error then
// stands in the body, where clients of S3 look for it.
//
// It is not safe for concurrent use: who blanks must have stopped before the
// end is written.
type LateAnswer struct {
	w       http.ResponseWriter
	started bool
}

// NewLateAnswer returns an answer that has not begun.
func NewLateAnswer(w http.ResponseWriter) *LateAnswer { return &LateAnswer{w: w} }

// Started tells whether headers can no longer be set.
func (a *LateAnswer) Started() bool { return a.started }

// Blank sends a blank, and before the first one all that has to stand in front
// of it. Call it every ten seconds or so, and not before the first ten. An error
// says that the client has gone.
func (a *LateAnswer) Blank() error {
	if !a.started {
		a.started = true
		a.w.Header().Set("Content-Type", contentTypeXML)
		a.w.WriteHeader(http.StatusOK)
		if _, err := a.w.Write([]byte(xmlDeclaration)); err != nil {
			return err
		}
	}
	if _, err := a.w.Write([]byte{' '}); err != nil {
		return err
	}
	return http.NewResponseController(a.w).Flush()
}

// Document ends the answer with a document.
func (a *LateAnswer) Document(document []byte) {
	if !a.started {
		WriteXML(a.w, document)
		return
	}
	a.rest(document)
}

// Error ends the answer with an error; the arguments are those of WriteError.
func (a *LateAnswer) Error(r *http.Request, requestID string, err error) {
	if !a.started {
		WriteError(a.w, r, requestID, err)
		return
	}
	a.rest(errorDocument(ForClient(err), resource(r), requestID))
}

// rest sends a document whose declaration has been sent.
func (a *LateAnswer) rest(document []byte) {
	_, _ = a.w.Write(bytes.TrimPrefix(document, []byte(xmlDeclaration))) // a client that is gone cannot be told
}
