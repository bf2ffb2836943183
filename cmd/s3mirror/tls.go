package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate serves a key pair from files and reads them again when they
// change, so that a renewed certificate needs no restart. A pair that cannot be
// read leaves the last good one in force.
type certificate struct {
	files TLSConfig
	log   *slog.Logger

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
func openCertificate(files TLSConfig, log *slog.Logger) (*certificate, error) {
	c := &certificate{files: files, log: log, seen: stat(files), checked: time.Now()}
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("s3.tls: %w", err)
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
		c.log.Warn("certificate cannot be read; the last one stays in force", "error", err)
		return c.pair
	}
	c.log.Info("certificate was read again", "file", c.files.Cert)
	c.pair = &pair
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
