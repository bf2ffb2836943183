package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// server is one backend, as the measurements see it.
type server struct {
	name   string
	addr   string
	keys   keys
	proc   *process                    // nil: within this process
	forget func(context.Context) error // drops the objects written so far, behind everybody's back
}

// endpoint is a client's way to it.
func (s server) endpoint() *endpoint { return newEndpoint(s.addr, s.keys) }

// endpoints are the ways to all of them.
func endpoints(all []server) ideal {
	var es ideal
	for _, s := range all {
		es = append(es, s.endpoint())
	}
	return es
}

// sinks runs three sinks behind lines of their own.
func (b *bench) sinks(s line) ([]server, error) {
	all, err := startSinks(s)
	if err != nil {
		return nil, err
	}
	var servers []server
	for i, k := range all {
		b.atEnd(k.stop)
		servers = append(servers, server{name: fmt.Sprintf("s-%d", i+1), addr: k.addr, keys: k.keys, forget: k.forget})
	}
	return servers, nil
}

// versitygws runs three versitygw over folders in memory.
func (b *bench) versitygws(ctx context.Context, keepAlive bool) ([]server, error) {
	var servers []server
	for i := range 3 {
		s, err := b.versitygw(ctx, fmt.Sprintf("v-%d", i+1), keepAlive)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

func (b *bench) versitygw(ctx context.Context, name string, keepAlive bool) (server, error) {
	s := server{name: name, keys: keys{access: "access-" + name, secret: "secret-of-versitygw"}}
	dir, err := os.MkdirTemp(b.memoryDir, name+"-")
	if err != nil {
		return s, err
	}
	b.atEnd(func() error { return os.RemoveAll(dir) })
	if s.addr, err = b.freeAddr(); err != nil {
		return s, err
	}
	args := []string{"--port", s.addr, "--health", "/health", "--quiet"}
	if keepAlive {
		args = append(args, "--keep-alive")
	}
	cmd := exec.CommandContext(ctx, b.versitygwProgram, append(args, "posix", dir)...)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.keys.access, "ROOT_SECRET_KEY="+string(s.keys.secret))
	if s.proc, err = b.start("versitygw", cmd); err != nil {
		return s, err
	}
	b.atEnd(func() error { s.proc.quit(); return nil })
	s.forget = func(context.Context) error {
		objects, err := filepath.Glob(filepath.Join(dir, "*", freshPrefix+"*"))
		if err != nil {
			return err
		}
		for _, path := range objects {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
		return nil
	}
	return s, s.proc.await(ctx, answers("http://"+s.addr+"/health"))
}

// forget drops what the measurements wrote on all backends. The log's rows stay:
// nobody asks for those keys again.
func forget(ctx context.Context, all []server) error {
	for _, s := range all {
		if err := s.forget(ctx); err != nil {
			return err
		}
	}
	return nil
}
