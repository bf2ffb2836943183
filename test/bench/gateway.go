package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/s3mirror/s3mirror/internal/admin"
)

// gateway is one `s3mirror serve`: the shipped program with its defaults.
type gateway struct {
	addr  string // of the S3 API
	keys  keys
	admin *admin.Client
	proc  *process
}

// bucket is where everything goes through the gateway; direct is another, on
// the backends alone.
const (
	bucket = "bench"
	direct = "direct"
)

// config is what differs between gateways.
type config struct {
	payload string // payload_mode of every backend; default auto
	settle  string // default 5m
	more    string // YAML at the top level

	secretFile string // the deployment's secret key; default one of its own
	joins      bool   // others on the same log have made the buckets
}

// gateway runs one over the backends, with both buckets made. Its log lies on a
// disk: commits cost what they cost.
func (b *bench) gateway(ctx context.Context, backends []server, c config) (*gateway, error) {
	dir, err := os.MkdirTemp(b.diskDir, "gateway-")
	if err != nil {
		return nil, err
	}
	b.atEnd(func() error { return os.RemoveAll(dir) })
	g := &gateway{keys: keys{access: "root-access-key", secret: "root-secret-key-of-the-bench"}}
	var adminAddr string
	if g.addr, err = b.freeAddr(); err == nil {
		adminAddr, err = b.freeAddr()
	}
	if err != nil {
		return nil, err
	}
	var y strings.Builder
	fmt.Fprintf(&y, "data_dir: %s\ns3: {listen: %s}\nadmin: {listen: %s}\nreplication: {settle: %s}\nbackends:\n",
		filepath.Join(dir, "data"), g.addr, adminAddr, cmp.Or(c.settle, "5m"))
	env := append(os.Environ(), "S3MIRROR_ROOT_ACCESS_KEY="+g.keys.access,
		"S3MIRROR_ROOT_SECRET_KEY="+string(g.keys.secret), "S3MIRROR_ROOT_PASSWORD=root-password-of-the-bench")
	if c.secretFile != "" {
		env = append(env, "S3MIRROR_SECRET_KEY_FILE="+c.secretFile)
	}
	for i, s := range backends {
		env = append(env, fmt.Sprintf("BACKEND_SECRET_%d=%s", i, string(s.keys.secret)))
		fmt.Fprintf(&y, "  - {name: %s, endpoint: 'http://%s', access_key_id: %s, secret_access_key: '${BACKEND_SECRET_%d}', payload_mode: %s}\n",
			s.name, s.addr, s.keys.access, i, cmp.Or(c.payload, "auto"))
	}
	y.WriteString(c.more)
	file := filepath.Join(dir, "s3mirror.yaml")
	if err := os.WriteFile(file, []byte(y.String()), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.program, "serve", "--config", file)
	cmd.Env = env
	if g.proc, err = b.start("gateway", cmd); err != nil {
		return nil, err
	}
	b.atEnd(func() error { g.proc.quit(); return nil })
	if err := g.proc.await(ctx, answers("http://"+adminAddr+"/readyz")); err != nil {
		return nil, err
	}
	g.admin = &admin.Client{BaseURL: "http://" + adminAddr, User: "root", Password: "root-password-of-the-bench"}
	if c.joins {
		return g, nil
	}
	return g, g.makeBuckets(backends)
}

func (g *gateway) endpoint() *endpoint { return newEndpoint(g.addr, g.keys) }

func (g *gateway) makeBuckets(backends []server) error {
	if err := g.endpoint().request(http.MethodPut, bucket, ""); err != nil {
		return fmt.Errorf("make the bucket through the gateway: %w\n%s", err, g.proc.tail())
	}
	for _, s := range backends {
		if err := s.endpoint().request(http.MethodPut, direct, ""); err != nil {
			return fmt.Errorf("make a bucket on %s: %w", s.name, err)
		}
	}
	return nil
}
