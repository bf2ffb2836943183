package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// The fan-out is the least that any program must do which writes one body to
// three places: it reads the client's bytes into a ring of slabs, and three
// writers send them on as they are. It hashes nothing, knows no log and no
// protocol. It is a process of its own, this program called with fanoutVerb, so
// that its CPU time is counted as the gateway's is.
const fanoutVerb = "fan-out"

// fanout runs one over the backends.
func (b *bench) fanout(ctx context.Context, backends []server) (*process, *endpoint, error) {
	addr, err := b.freeAddr()
	if err != nil {
		return nil, nil, err
	}
	args := []string{fanoutVerb, addr}
	for _, s := range backends {
		args = append(args, s.addr)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	p, err := b.start("fan-out", exec.CommandContext(ctx, self, args...))
	if err != nil {
		return nil, nil, err
	}
	b.atEnd(func() error { p.kill(); return nil })
	return p, newEndpoint(addr, backends[0].keys), p.await(ctx, listens(addr))
}

// serveFanout is the process: it serves until the listener is closed.
func serveFanout(l net.Listener, to []string) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			if err := fan(c, to); err != nil && !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

// fan serves one client's connection.
func fan(client net.Conn, to []string) error {
	var outs []net.Conn
	defer func() {
		for _, o := range outs {
			o.Close()
		}
	}()
	for _, addr := range to {
		o, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		outs = append(outs, o)
	}
	in := bufio.NewReaderSize(client, 4*kib)
	answers := make([]*conn, len(outs))
	for i, o := range outs {
		answers[i] = &conn{Conn: o, r: bufio.NewReaderSize(o, 4*kib)}
	}
	for {
		head, length, err := readHead(in)
		if err != nil {
			return err
		}
		if err := fanBody(in, head, length, outs); err != nil {
			return err
		}
		for _, a := range answers {
			switch got, err := a.answer(); {
			case err != nil:
				return err
			case got.status != 200 || got.close:
				return fmt.Errorf("a sink answered %+v", got)
			}
		}
		if _, err := client.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")); err != nil {
			return err
		}
	}
}

func readHead(in *bufio.Reader) (head []byte, length int64, err error) {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, 0, err
		}
		head = append(head, line...)
		if len(line) <= 2 {
			return head, length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.ParseInt(strings.TrimSpace(string(value)), 10, 64); err != nil {
				return nil, 0, err
			}
		}
	}
}

// The ring: as much as the gateway's, 1 MiB.
const (
	ringSlab  = 256 * kib
	ringSlabs = 4
)

// fanBody sends a head and a body of so many bytes to all.
func fanBody(in io.Reader, head []byte, length int64, outs []net.Conn) error {
	var queues []chan []byte
	var writers sync.WaitGroup
	errs := make([]error, len(outs))
	users := make([]sync.WaitGroup, ringSlabs) // of each slab
	for i, o := range outs {
		q := make(chan []byte, ringSlabs)
		queues = append(queues, q)
		writers.Go(func() {
			_, errs[i] = o.Write(head)
			n := 0
			for data := range q {
				if errs[i] == nil {
					_, errs[i] = o.Write(data)
				}
				users[n%ringSlabs].Done()
				n++
			}
		})
	}
	ring := rings.Get().(*[ringSlabs][ringSlab]byte)
	defer rings.Put(ring)
	var err error
	for n := 0; length > 0; n++ {
		slab, used := ring[n%ringSlabs][:], &users[n%ringSlabs]
		used.Wait()
		var k int
		if k, err = in.Read(slab[:min(length, ringSlab)]); err != nil {
			break
		}
		length -= int64(k)
		used.Add(len(queues))
		for _, q := range queues {
			q <- slab[:k]
		}
	}
	for _, q := range queues {
		close(q)
	}
	writers.Wait()
	return errors.Join(append(errs, err)...)
}

var rings = sync.Pool{New: func() any { return new([ringSlabs][ringSlab]byte) }}
