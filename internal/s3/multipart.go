package s3

import (
	"crypto/md5" //nolint:gosec // what S3 makes ETags of
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"
)

// The limits of S3 on uploads.
const (
	// MaxParts is how many parts an upload can have, and the highest number of
	// one.
	MaxParts = 10_000
	// MinPartBytes is the least size of every part but the last.
	MinPartBytes = 5 << 20
	// MaxPartBytes is the most of one part, and of a single PUT or copy.
	MaxPartBytes = 5 << 30
)

// Part is one part of an upload, as it is stored.
type Part struct {
	Number    int
	ETag      string // without quotes
	Size      int64  // bytes
	Modified  time.Time
	Algorithm string // of Checksum: the upload's, or, of an upload without, what came with the part; empty: none
	Checksum  string // base64
	Plain     string // the DefaultChecksum that nobody asked for, base64; empty: none
}

// PartNumber returns the parameter partNumber, from 1 to 10,000.
// InvalidArgument.
func (op *Operation) PartNumber() (int, error) {
	v := op.Query.Get("partNumber")
	n, ok := decimal(v)
	if !ok || n < 1 || n > MaxParts {
		return 0, invalidArgument("partNumber", v, "Part number must be an integer between 1 and %d, inclusive.", MaxParts)
	}
	return int(n), nil
}

// UploadID returns the parameter uploadId.
func (op *Operation) UploadID() string { return op.Query.Get("uploadId") }

// NoUpload is the answer to an upload id that is not one of the key's.
func NoUpload(uploadID string) *Error { return Err(NoSuchUpload).With("UploadId", uploadID) }

// MultipartETag is the ETag of an object made of parts with these ETags: the
// MD5 of their MD5s and the number of parts. ok is false when a part's ETag is
// no MD5; the object's is then whatever the backend says.
func MultipartETag(parts []string) (etag string, ok bool) {
	h := md5.New() //nolint:gosec // see above
	for _, p := range parts {
		sum, err := hex.DecodeString(p)
		if err != nil || len(sum) != md5.Size {
			return "", false
		}
		h.Write(sum)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts)), len(parts) > 0
}

// InitiateDocument is the answer to CreateMultipartUpload.
func InitiateDocument(bucket, key, uploadID string) []byte {
	x := newXML(512)
	x.openNamespace("InitiateMultipartUploadResult")
	x.text("Bucket", bucket)
	x.text("Key", key)
	x.text("UploadId", uploadID)
	x.close("InitiateMultipartUploadResult")
	return x.bytes()
}

// maxResultBytes bounds the short documents of a backend, white space in front
// included.
const maxResultBytes = 256 << 10

// DecodeInitiated returns the upload id of a backend's
// InitiateMultipartUploadResult. An Error document, which may come with status
// 200, is returned as an *Error.
func DecodeInitiated(r io.Reader) (uploadID string, err error) {
	d := newXMLReader(r, maxResultBytes)
	err = d.result("InitiateMultipartUploadResult", func(name []byte) (err error) {
		if string(name) != "UploadId" {
			return d.skip()
		}
		uploadID, err = d.text()
		return err
	})
	if err == nil && uploadID == "" {
		err = errMissingElement("UploadId")
	}
	if err != nil {
		return "", answerError("upload", err)
	}
	return uploadID, nil
}

// result reads a backend's document of this root, whose first letter some
// servers write small, to its end.
func (x *xmlReader) result(want string, visit func(name []byte) error) error {
	root, err := x.answer()
	if err != nil {
		return err
	}
	if !strings.EqualFold(root, want) {
		return errUnexpectedElement(root)
	}
	if err := x.children(visit); err != nil {
		return err
	}
	return x.end()
}

// checksumElement is the element of a document that carries a checksum.
func checksumElement(algorithm string) string { return "Checksum" + strings.ToUpper(algorithm) }

// elementAlgorithm is the algorithm whose checksum an element carries, empty
// for every other element.
func elementAlgorithm(name []byte) string {
	upper, ok := strings.CutPrefix(string(name), "Checksum")
	algorithm := strings.ToLower(upper)
	if _, known := algorithms[algorithm]; !ok || !known || checksumElement(algorithm) != string(name) {
		return ""
	}
	return algorithm
}
