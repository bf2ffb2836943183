package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/s3"
)

// The attributes of an access line.
const (
	attrRequestID = "request_id"
	attrClient    = "client"
	attrRemote    = "remote"
	attrAgent     = "user_agent"
	attrLogin     = "login"
	attrOperation = "operation"
	attrMethod    = "method"
	attrPath      = "path"
	attrBucket    = "bucket"
	attrKey       = "key"
	attrStatus    = "status"
	attrReceived  = "bytes_in"
	attrSent      = "bytes_out"
	attrDuration  = "duration"
	attrReplica   = "replica"
	attrCut       = "cut"
	attrCode      = "code"
	attrError     = "error"
	attrStack     = "stack"
	attrTrace     = "trace_id"
)

// account counts the request and writes its line. It is the one place that
// does either, so nothing is counted twice or left out.
func (h *Handler) account(ctx context.Context, a *answer, r *request, err error) {
	took := time.Since(r.start)
	operation := r.operation()
	h.metrics.requests.WithLabelValues(operation, class(a, r, err)).Inc()
	h.metrics.seconds.WithLabelValues(operation).Observe(took.Seconds())
	h.metrics.received.Add(float64(r.upload.bytes))
	h.metrics.sent.Add(float64(a.bytes))

	h.audit(ctx, a, r, err)
	level := slog.LevelInfo
	if broken(r.Request, err) {
		level = slog.LevelError
	}
	if !h.Log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs, slog.String(attrRequestID, r.id), slog.String(attrClient, r.client.String()), slog.String(attrRemote, r.RemoteAddr))
	attrs = append(attrs, r.attrs()...)
	attrs = append(attrs,
		slog.Int(attrStatus, a.status),
		slog.Int64(attrReceived, r.upload.bytes), slog.Int64(attrSent, a.bytes),
		slog.Duration(attrDuration, took), slog.String(attrAgent, short(r.UserAgent())))
	if r.span != nil && r.span.IsRecording() {
		attrs = append(attrs, slog.String(attrTrace, r.span.SpanContext().TraceID().String()))
	}
	attrs = append(attrs, outcome(a, err)...)
	h.Log.LogAttrs(ctx, level, "s3 request", attrs...)
}

// short is what is kept of a text that a client may make as long as it likes.
func short(s string) string { return s[:min(len(s), 200)] }

func (r *request) operation() string {
	if r.op == nil {
		return unparsed
	}
	return string(r.op.Name)
}

// attrs say who asked for what. A request that is no operation shows the path
// that it had; a query may hold a signature and is never shown.
func (r *request) attrs() []slog.Attr {
	var attrs []slog.Attr
	if r.sender != nil {
		attrs = append(attrs, slog.String(attrLogin, r.sender.Login))
	}
	attrs = append(attrs, slog.String(attrOperation, r.operation()))
	if r.op == nil {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		return append(attrs, slog.String(attrMethod, r.Method), slog.String(attrPath, path[:min(len(path), 1024)]))
	}
	if r.op.Bucket != "" {
		attrs = append(attrs, slog.String(attrBucket, r.op.Bucket))
	}
	if r.op.Key != "" {
		attrs = append(attrs, slog.Any(attrKey, r.op.ObjectKey()))
	}
	if r.replica != "" {
		attrs = append(attrs, slog.String(attrReplica, r.replica))
	}
	return attrs
}

// audit tells of a refusal: the sender was not proved, or may not do it. What
// is wrong with a request in itself is none, and neither is what a browser asks
// unsigned.
func (h *Handler) audit(ctx context.Context, a *answer, r *request, err error) {
	switch {
	case h.Audit == nil, err == nil, a.status/100 != 4, r.sender != nil && a.status != http.StatusForbidden,
		r.op != nil && r.op.Name == s3.Preflight:
		return
	}
	e := r.refused(err)
	if r.sender != nil {
		e.Actor = r.sender.Login
	} else {
		e.Claimed = short(s3.ForClient(err).Field("AWSAccessKeyId"))
	}
	if r.op != nil {
		e.Bucket, e.Key = r.op.Bucket, r.op.Key
	}
	h.Audit.Note(ctx, e)
}

// noteKey tells the audit of a refusal of one of the keys that a request names in its
// body.
func (h *Handler) noteKey(r *request, key string, err error) {
	if h.Audit == nil || s3.ForClient(err).Code.Status() != http.StatusForbidden {
		return
	}
	e := r.refused(err)
	e.Actor, e.Bucket, e.Key = r.sender.Login, r.op.Bucket, key
	h.Audit.Note(r.Context(), e)
}

// refused is the entry of a refusal, but for whose and of what.
func (r *request) refused(err error) auth.Entry {
	e := auth.Entry{Act: r.operation(), Client: r.client, Request: r.id, Refused: string(s3.ForClient(err).Code)}
	var denial *auth.Denial
	if errors.As(err, &denial) {
		e.Refused = string(denial.Reason)
	}
	return e
}

// outcome says what went wrong, with the cause that the client was not told.
func outcome(a *answer, err error) []slog.Attr {
	if err == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String(attrCode, string(s3.ForClient(err).Code)), slog.String(attrError, err.Error())}
	if a.cut {
		attrs = append(attrs, slog.Bool(attrCut, true))
	}
	if p := panicOf(err); p != nil {
		attrs = append(attrs, slog.String(attrStack, p.stack))
	}
	return attrs
}

// class is how the request ended, in one of classes.
func class(a *answer, r *request, err error) string {
	switch {
	case err != nil && r.Context().Err() != nil:
		return classGone
	case a.cut:
		return classCut
	}
	return strconv.Itoa(a.status/100) + "xx"
}
