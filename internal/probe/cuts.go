package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// cutModes are the ways in which a body travels, and the probes of what becomes of one
// that is cut: see bodyOf.
var cutModes = []string{CutLiteral, CutTrailer, CutSigned}

// bodyOf is the probe that a mode rests on beside its own.
var bodyOf = map[string]string{CutLiteral: BodyLiteral, CutTrailer: BodyTrailer, CutSigned: BodySigned}

// cutSizes are the classes of lengths that servers treat differently: what fits into one
// packet, into a first buffer, into memory, and what does not.
var cutSizes = []int{1, 1000, 8<<10 + 1, 64 << 10, 1<<20 + 1, 6 << 20}

// cutsAtOnce bounds the bodies on their way.
const cutsAtOnce = 8

// cut is one body that was not sent whole.
type cut struct {
	mode, key string
	size, of  int // bytes sent of how many
	polite    bool
	taken     bool // the endpoint answered with success
	err       error
}

func (c cut) String() string {
	end := "a reset"
	if c.polite {
		end = "the end of the stream"
	}
	return fmt.Sprintf("a body in %s of which %d of %d bytes were sent before %s", bodyOf[c.mode], c.size, c.of, end)
}

// cuts sends bodies of every class of lengths in every mode and breaks them off, as a
// process that was killed or a connection that was lost does: nothing of them may ever
// be stored (RELIABILITY A2). Where a mode is not taken at all there is nothing to find.
func (r *runner) cuts(ctx context.Context) []Probe {
	found := make([]Probe, 0, len(cutModes))
	var all []*cut
	for _, mode := range cutModes {
		p := Probe{Name: mode}
		if p.Result, p.Detail = r.whole(ctx, mode); p.Result == Yes {
			all = append(all, r.planCuts(mode)...)
		}
		found = append(found, p)
	}
	var group errgroup.Group
	group.SetLimit(cutsAtOnce)
	for _, c := range all {
		group.Go(func() error {
			r.makeCut(ctx, c)
			return nil
		})
	}
	_ = group.Wait() // what went wrong stands in each
	pause(ctx, r.effort.Watch)
	for i := range found {
		if found[i].Result == Yes {
			found[i].Result, found[i].Detail = r.judgeCuts(ctx, found[i].Name, all)
		}
	}
	return found
}

// pause waits, or until the end.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// whole sends a body that is right: Yes where it is taken.
func (r *runner) whole(ctx context.Context, mode string) (Result, string) {
	req, body, _, err := r.wire.framed(ctx, mode, r.bucket, r.full("cut/"+mode+"/whole"), pattern(mode, 1000))
	if err != nil {
		return unknown(err)
	}
	switch a, err := r.wire.send(req, body); {
	case err != nil:
		return unknown(err)
	case a.status/100 == 2:
		return Yes, ""
	case a.status/100 == 4 || a.status == http.StatusNotImplemented:
		return No, fmt.Sprintf("such bodies are refused: %d", a.status)
	default:
		return unknown(fmt.Errorf("status %d", a.status))
	}
}

func (r *runner) planCuts(mode string) (all []*cut) {
	for _, size := range cutSizes {
		if size > r.effort.Largest {
			break
		}
		for i, share := range []int{0, 1, 2} { // nothing, half, all but the last byte
			if size == 1 && share > 0 {
				break
			}
			for _, polite := range []bool{true, false} {
				key := "cut/" + mode + "/" + strconv.Itoa(size) + "-" + strconv.Itoa(i) + "-" + strconv.FormatBool(polite)
				all = append(all, &cut{mode: mode, key: key, size: share, of: size, polite: polite})
			}
		}
	}
	return all
}

func (r *runner) makeCut(ctx context.Context, c *cut) {
	req, body, tail, err := r.wire.framed(ctx, c.mode, r.bucket, r.full(c.key), pattern(c.key, c.of))
	if err != nil {
		c.err = err
		return
	}
	most := len(body) - tail // all but the last byte of the data, and what follows it
	c.size, c.of = most*c.size/2, len(body)
	var status int
	status, c.err = r.wire.putCut(ctx, req, body[:c.size], len(body), c.polite)
	c.taken = status/100 == 2
}

func (r *runner) judgeCuts(ctx context.Context, mode string, all []*cut) (Result, string) {
	var mu sync.Mutex // guards the results
	n, bad, lost := 0, "", error(nil)
	var group errgroup.Group
	group.SetLimit(cutsAtOnce)
	for _, c := range all {
		if c.mode != mode {
			continue
		}
		n++
		group.Go(func() error {
			absent, err := r.absent(ctx, c.key)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case c.taken:
				bad = c.String() + " is answered with success"
			case err == nil && !absent:
				bad = c.String() + " is stored"
			case err != nil && lost == nil:
				lost = err
			case c.err != nil && lost == nil:
				lost = c.err
			}
			return nil
		})
	}
	_ = group.Wait() // see above
	switch {
	case bad != "":
		return Unsafe, bad
	case lost != nil:
		return unknown(lost)
	}
	return Yes, fmt.Sprintf("of %d bodies that were cut none was there %s later", n, r.effort.Watch)
}

// absent tells whether nothing stands under the key.
func (r *runner) absent(ctx context.Context, key string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	seen, err := r.remote.Head(ctx, r.bucket, r.prefix+key)
	return err == nil && seen.Kind != object.Present, err
}

// framed is a PUT whose body is framed for a mode. tail is how much of the body follows
// the last byte but one of the data.
func (w *wire) framed(ctx context.Context, mode, bucket, key string, data []byte) (r *http.Request, body []byte, tail int, err error) {
	if mode == CutLiteral {
		if r, err = w.request(ctx, http.MethodPut, bucket, key, ""); err == nil {
			sum := sha256.Sum256(data)
			w.sign(r, hex.EncodeToString(sum[:]))
		}
		return r, data, 1, err
	}
	if r, err = w.request(ctx, http.MethodPut, bucket, key, ""); err != nil {
		return nil, nil, 0, err
	}
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(data)))
	var framed bytes.Buffer
	if mode == CutTrailer {
		const name = "x-amz-checksum-crc32c"
		r.Header.Set("Content-Encoding", "aws-chunked")
		r.Header.Set("X-Amz-Trailer", name)
		w.sign(r, sigv4.UnsignedTrailer.String())
		framed.Write(sigv4.ChunkHeader(nil, len(data)))
		framed.Write(data)
		tail = framed.Len()
		framed.WriteString(sigv4.CRLF)
		framed.Write(sigv4.Trailer(sigv4.ChunkHeader(nil, 0), name, crc32cOf(data)))
	} else {
		chunks := w.sign(r, sigv4.Signed.String())
		framed.Write(chunks.ChunkHeader(nil, len(data), sha256.Sum256(data)))
		framed.Write(data)
		tail = framed.Len()
		framed.WriteString(sigv4.CRLF)
		framed.Write(chunks.ChunkHeader(nil, 0, [32]byte{}))
		framed.WriteString(sigv4.CRLF)
	}
	return r, framed.Bytes(), framed.Len() - tail + 1, nil
}
