package gateway

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/s3mirror/s3mirror/internal/s3"
)

// settingCORS is kept as the document that ParseCORS reads.
const settingCORS = "cors"

// preflight answers what a browser asks before it sends a request for a page of
// another origin. It comes unsigned, so that it looks at the bucket's record
// alone, which no request makes and no backend is asked for.
func (h *Handler) preflight(ctx context.Context, w http.ResponseWriter, r *request) error {
	ask, err := s3.ParseCORSRequest(r.Request)
	if err != nil {
		return err
	}
	resource := "BUCKET"
	if r.op.Key != "" {
		resource = "OBJECT"
	}
	if r.op.Bucket == "" {
		return errNoCORS()
	}
	rules, err := h.cors(ctx, r.op.Bucket)
	if err != nil {
		return err
	}
	if rules == nil {
		return errNoCORS()
	}
	if !rules.SetHeaders(w.Header(), ask) {
		return s3.Err(s3.AccessForbidden).With("Method", http.MethodOptions).With("ResourceType", resource)
	}
	return empty(w, http.StatusOK)
}

func errNoCORS() error {
	return s3.Errorf(s3.AccessForbidden, "CORSResponse: CORS is not enabled for this bucket.").
		With("Method", http.MethodOptions).With("ResourceType", "BUCKET")
}

// allowOrigin sets what lets a page of another origin see the answer, be it an
// error. Whatever is wrong with the question is not worth failing a request that
// needs no such leave.
func (h *Handler) allowOrigin(ctx context.Context, w http.ResponseWriter, r *request) {
	if r.Header.Get("Origin") == "" || r.op == nil || r.op.Bucket == "" {
		return
	}
	ask, err := s3.ParseCORSRequest(r.Request)
	if err != nil || ask == nil {
		return
	}
	if rules, err := h.cors(ctx, r.op.Bucket); err == nil && rules != nil {
		rules.SetHeaders(w.Header(), ask)
	}
}

// cors are the rules of a bucket, nil when it has none.
func (h *Handler) cors(ctx context.Context, bucket string) (*s3.CORS, error) {
	document, ok, err := h.Replicas.BucketSetting(ctx, bucket, settingCORS)
	if err != nil || !ok {
		return nil, err
	}
	rules, err := s3.ParseCORS(strings.NewReader(document))
	if err != nil {
		return nil, s3.Err(s3.InternalError).Because(errors.Join(errors.New("the CORS rules that were kept"), err))
	}
	return rules, nil
}

func parseCORS(document []byte) (string, error) {
	rules, err := s3.ParseCORS(bytes.NewReader(document))
	if err != nil {
		return "", err
	}
	return rules.Document(), nil
}
