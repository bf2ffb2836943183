package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/oplog"
)

// parts are what an engine is built from.
type parts struct {
	cfg      *Config
	node     string
	log      oplog.Log
	secrets  *secrets
	backends *backends
	metrics  *prometheus.Registry
	logger   *slog.Logger
}

// engine is everything between the S3 listener and the backends.
type engine struct {
	handler http.Handler                    // the S3 face
	source  admin.Source                    // what the admin API tells
	run     func(ctx context.Context) error // the healer and other loops, until ctx ends
	drain   func(ctx context.Context) error // awaits what outlives its request; nothing new may come
}

// openEngine joins replica, heal and gateway.
func openEngine(context.Context, parts) (*engine, error) {
	return nil, errors.New("the engine is not joined yet")
}
