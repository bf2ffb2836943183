package memory

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// Personality is in what a server differs from AWS without being wrong: the
// servers of the world do each of these. The zero value is AWS's.
type Personality struct {
	// MinPartBytes is the least size of every part but the last. Default 5 MiB.
	MinPartBytes int64
	// MaxParts is the highest part number. Default 10,000.
	MaxParts int

	// OpaqueETags makes ETags that are no MD5, of objects and of parts.
	OpaqueETags bool
	// DropsChecksums verifies the checksums that come with a body and keeps
	// none.
	DropsChecksums bool
	// ForgetsPartSums names no checksums of parts once they are one object.
	ForgetsPartSums bool
	// IgnoresPartNumber answers a read of one part with the whole object.
	IgnoresPartNumber bool

	// Files is how keys are kept that file systems have trouble with.
	Files Files

	Wrongs

	// IgnoresCopyConditions copies whatever the source is.
	IgnoresCopyConditions bool

	// ForgetsCompleted answers NoSuchUpload to a CompleteMultipartUpload that is
	// sent again, instead of the result.
	ForgetsCompleted bool
	// AbortsAnything answers 204 to the abort of an upload that is not there.
	AbortsAnything bool

	// Blanks is how many blanks stand in front of the result of
	// CompleteMultipartUpload, CopyObject and UploadPartCopy. With any, the status
	// is 200 before the work has begun, and an error stands in the body.
	Blanks int
}

// promised is what of an upload's checksums this server remembers.
func (p Personality) promised(sum s3.UploadChecksum) s3.UploadChecksum {
	if p.DropsChecksums {
		return s3.UploadChecksum{}
	}
	return sum
}

// checkPart judges the checksum that came with a part.
func (p Personality) checkPart(sum s3.UploadChecksum, algorithm string) error {
	if p.DropsChecksums {
		return nil
	}
	return sum.CheckPart(algorithm)
}

// complete is what of a CompleteMultipartUpload this server looks at.
func (p Personality) complete(c *s3.Complete) {
	if !p.DropsChecksums {
		return
	}
	c.Algorithm, c.Checksum, c.Count, c.Type = "", "", 0, ""
	for i := range c.Parts {
		c.Parts[i].Algorithm, c.Parts[i].Checksum = "", ""
	}
}

// etag is the ETag of something whose ETag on AWS it is given.
func (p Personality) etag(aws string) string {
	if !p.OpaqueETags {
		return aws
	}
	sum := sha256.Sum256([]byte(aws))
	return hex.EncodeToString(sum[:20])
}

// finishLate is finish for what may take long. document is asked for the result
// after the effect.
func (s *Server) finishLate(q *request, effect func() error, document func() []byte) error {
	write := func(w io.Writer) error {
		_, err := w.Write(document())
		return err
	}
	if s.o.Blanks == 0 {
		q.w.Header().Set("Content-Type", "application/xml")
		return s.finish(q, effect, http.StatusOK, write)
	}
	a := s3.NewLateAnswer(q.w)
	for range s.o.Blanks {
		if a.Blank() != nil {
			return nil // the client has gone, before anything was done
		}
	}
	err := s.finish(q, effect, 0)
	switch {
	case err == nil:
		a.Document(document())
	case errors.Is(err, errAborted):
		return err
	default:
		a.Error(q.Request, q.id, err)
	}
	return nil
}
