package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificates are the key pairs of a node's listeners, with their metrics.
type certificates struct {
	log     *slog.Logger
	expiry  *prometheus.GaugeVec
	refused *prometheus.CounterVec
}

func newCertificates(reg prometheus.Registerer, log *slog.Logger) *certificates {
	c := &certificates{
		log: log,
		expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "s3mirror_tls_certificate_expiry_timestamp_seconds",
			Help: "When the certificate in force ends, in seconds since 1970, by the key of the configuration that names it.",
		}, []string{"certificate"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "s3mirror_tls_certificate_reload_failures_total",
			Help: "Changed certificate files that could not be used; the last good certificate stayed in force.",
		}, []string{"certificate"}),
	}
	reg.MustRegister(c.expiry, c.refused)
	return c
}

// open is the TLS side of a listener; nil for one without TLS. name is the key
// of the configuration.
func (cs *certificates) open(name string, files *TLSConfig) (*tls.Config, error) {
	if files == nil {
		return nil, nil //nolint:nilnil // no TLS is no error
	}
	c, err := openCertificate(name, *files, cs.log)
	if err != nil {
		return nil, err
	}
	expiry, refused := cs.expiry.WithLabelValues(name), cs.refused.WithLabelValues(name)
	c.loaded = func(pair *tls.Certificate) { expiry.Set(float64(pair.Leaf.NotAfter.Unix())) }
	c.failed = refused.Inc
	c.loaded(c.pair)
	return c.config(), nil
}

// certificate serves a key pair from files and reads them again when they
// change, so that a renewed certificate needs no restart. A pair that cannot be
// read leaves the last good one in force.
type certificate struct {
	name   string // of its key in the configuration
	files  TLSConfig
	log    *slog.Logger
	loaded func(*tls.Certificate) // is told of every pair in force
	failed func()                 // is told of every pair that could not be read

	mu      sync.Mutex // guards what follows
	pair    *tls.Certificate
	seen    [2]fileState
	checked time.Time
}

// fileState tells whether a file was replaced.
type fileState struct {
	modified time.Time
	size     int64
}

// recheckAfter bounds how often the files are looked at.
const recheckAfter = time.Second

// openCertificate reads the pair for the first time.
func openCertificate(name string, files TLSConfig, log *slog.Logger) (*certificate, error) {
	c := &certificate{name: name, files: files, log: log, loaded: func(*tls.Certificate) {}, failed: func() {}, seen: stat(files), checked: time.Now()}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.pair = &pair
	return c, nil
}

// config is the TLS side of a listener.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current(time.Now()), nil
		},
	}
}

// current is the pair in force.
func (c *certificate) current(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.checked) < recheckAfter {
		return c.pair
	}
	c.checked = now
	state := stat(c.files)
	if state == c.seen {
		return c.pair
	}
	c.seen = state
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		c.log.Warn("certificate cannot be read; the last one stays in force", "certificate", c.name, "error", err)
		c.failed()
		return c.pair
	}
	c.log.Info("certificate was read again", "certificate", c.name, "file", c.files.Cert, "expires", pair.Leaf.NotAfter)
	c.pair = &pair
	c.loaded(c.pair)
	return c.pair
}

// stat looks at both files; one that is not there has the zero state.
func stat(files TLSConfig) (state [2]fileState) {
	for i, name := range []string{files.Cert, files.Key} {
		if info, err := os.Stat(name); err == nil {
			state[i] = fileState{info.ModTime(), info.Size()}
		}
	}
	return state
}
