package main

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/s3mirror/s3mirror/internal/memory"
	"github.com/s3mirror/s3mirror/internal/object"
)

// sink is an S3 server that costs next to nothing: of the objects that the
// measurements write it keeps the headers and throws the bytes away, neither
// hashed nor verified, and it gives noise back. (Of small ones it tells the MD5,
// which the gateway compares.) Everything else, the gateway's
// probes above all, is done by the server in memory, and done right.
type sink struct {
	addr   string
	keys   keys
	strict *memory.Server
	stop   func() error

	mu   sync.RWMutex // guards held
	held map[string]held
}

// held is what a sink knows of an object.
type held struct {
	size   int64
	header http.Header // to be sent with a GET
}

// startSink serves until stop.
func startSink(name string, s line) (*sink, error) {
	k := keys{access: "access-" + name, secret: "secret-of-sink"}
	b := &sink{keys: k, held: map[string]held{},
		strict: memory.New(memory.Options{AccessKeyID: k.access, SecretAccessKey: k.secret, Region: region})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.addr = l.Addr().String()
	server := &http.Server{Handler: b, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener(l)) }()
	b.stop = func() error {
		err := server.Close()
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}
	return b, nil
}

// startSinks runs three.
func startSinks(s line) ([]*sink, error) {
	var all []*sink
	for i := range 3 {
		b, err := startSink("s-"+strconv.Itoa(i+1), s)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func (b *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !strings.HasPrefix(key, freshPrefix) && !strings.HasPrefix(key, keptPrefix) || r.URL.RawQuery != "" {
		b.strict.ServeHTTP(w, r)
		return
	}
	switch r.Method {
	case http.MethodPut:
		b.put(w, r)
	case http.MethodGet, http.MethodHead:
		b.get(w, r)
	case http.MethodDelete:
		b.mu.Lock()
		delete(b.held, r.URL.Path)
		b.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "not for the likes of "+r.Method, http.StatusNotImplemented)
	}
}

// put reads a body and forgets it.
func (b *sink) put(w http.ResponseWriter, r *http.Request) {
	size := r.ContentLength
	if s := r.Header.Get("X-Amz-Decoded-Content-Length"); s != "" {
		var err error
		if size, err = strconv.ParseInt(s, 10, 64); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	buf := scratch.Get().(*[256 * kib]byte)
	defer scratch.Put(buf)
	to, sum := io.Writer(struct{ io.Writer }{io.Discard}), etag(r.URL.Path, size)
	small := md5.New()
	if size <= maxSmall {
		to = small
	}
	n, err := io.CopyBuffer(to, struct{ io.Reader }{r.Body}, buf[:])
	if err != nil || n != r.ContentLength {
		return // the body was cut: nothing is stored, and nobody waits for an answer
	}
	if size <= maxSmall {
		sum = `"` + hex.EncodeToString(small.Sum(nil)) + `"`
	}
	h := http.Header{}
	for name, values := range r.Header {
		if object.Stored(strings.ToLower(name)) || strings.HasPrefix(name, "X-Amz-Meta-") {
			h[name] = values
		}
	}
	h.Set("ETag", sum)
	h.Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	b.mu.Lock()
	b.held[r.URL.Path] = held{size, h}
	b.mu.Unlock()
	w.Header().Set("ETag", sum)
	w.Header().Set("Content-Length", "0")
}

// etag is the same on every sink, and looks like an MD5.
func etag(path string, size int64) string {
	h := uint64(14695981039346656037)
	for i := range len(path) {
		h = (h ^ uint64(path[i])) * 1099511628211
	}
	return fmt.Sprintf(`"%016x%016x"`, h, uint64(size))
}

func (b *sink) get(w http.ResponseWriter, r *http.Request) {
	b.mu.RLock()
	o, ok := b.held[r.URL.Path]
	b.mu.RUnlock()
	if !ok {
		b.strict.ServeHTTP(w, r) // its 404 is right
		return
	}
	h := w.Header()
	for name, values := range o.header {
		h[name] = values
	}
	h.Set("Content-Length", strconv.FormatInt(o.size, 10))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	c := content{size: o.size}
	for at := int64(0); at < c.size; {
		n, err := w.Write(c.at(at, 256*kib))
		if err != nil {
			return // the reader has gone
		}
		at += int64(n)
	}
}

// forget drops what single turns wrote.
func (b *sink) forget(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for path := range b.held {
		if strings.Contains(path, "/"+freshPrefix) {
			delete(b.held, path)
		}
	}
	return nil
}
