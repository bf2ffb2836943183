package gateway

import (
	"time"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// blankEvery is how often a client that waits long is told that we live.
const blankEvery = 10 * time.Second

// late waits for something that may take long, and blanks meanwhile.
func (h *Handler) late(answer *s3.LateAnswer, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- recovered(do) }()
	tick := time.NewTicker(h.blank)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			_ = answer.Blank() // a client that has gone is told nothing; do ends by itself
		}
	}
}

// lateDocument answers with the document that do makes, however long it takes: from ten
// seconds on with blanks, which keep the connection. An error then stands in the body.
func (h *Handler) lateDocument(answer *s3.LateAnswer, r *request, do func() ([]byte, error)) error {
	var document []byte
	err := h.late(answer, func() (err error) {
		document, err = do()
		return err
	})
	switch {
	case err == nil:
		answer.Document(document)
	case answer.Started():
		answer.Error(r.Request, r.id, err)
		r.told = true
	}
	return err
}
