package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/s3mirror/s3mirror/internal/archive"
	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/pebble"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// openLog opens the log of the engine that is configured (1) and learns the
// node's name (2).
func (n *node) openLog(ctx context.Context) error {
	if n.cfg.Log.Engine == engineCassandra {
		return n.openCassandra(ctx)
	}
	log, err := pebble.Open(n.cfg.DataDir, pebble.Options{Logger: n.logger})
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	n.log = log
	n.metrics.MustRegister(log.Collector())
	if err := n.atHome(ctx); err != nil && !errors.Is(err, archive.ErrRebuilding) { // see checkLost
		return err
	}
	n.name, err = nodeName(ctx, log)
	return err
}

// atHome refuses a log that is half of another one, or that lives elsewhere now.
func (n *node) atHome(ctx context.Context) error {
	err := archive.CheckHome(ctx, n.log)
	switch {
	case errors.Is(err, archive.ErrHalf):
		return fmt.Errorf("%w: empty it and import again, see `s3mirror log import --help`", err)
	case errors.Is(err, archive.ErrRebuilding):
		return fmt.Errorf("%w: run `s3mirror rebuild` again, or `s3mirror serve --rebuild`", err)
	case errors.Is(err, archive.ErrMoved):
		return fmt.Errorf("%w: serve there; if nobody does, `s3mirror log export --undo` takes the mark back", err)
	}
	return err
}

// openCassandra takes the data folder, which holds what is this node's own, and
// joins the cluster. The engine joins the other nodes (replica.Open).
func (n *node) openCassandra(ctx context.Context) (err error) {
	if n.folder, err = ownFolder(n.cfg.DataDir); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if n.name, err = nodeFile(n.cfg.DataDir); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	options := cassandraOptions(n.cfg.Log.Cassandra, n.logger)
	if n.migrate {
		say := func(step string) { n.logger.InfoContext(ctx, "migrating the log", "step", step) }
		if err := cassandra.Migrate(ctx, options, say); err != nil {
			return fmt.Errorf("log.cassandra: %w", err)
		}
	}
	log, err := cassandra.Open(ctx, options)
	if err != nil {
		return fmt.Errorf("log.cassandra: %w", err)
	}
	n.log = log
	n.metrics.MustRegister(log.Collector())
	if n.member, err = member(n.cfg); err != nil {
		return err
	}
	n.loops = append(n.loops, func(ctx context.Context) error {
		return log.Run(ctx, func() (func(), bool) { return n.engine.hold(replica.ShareIndex) })
	})
	if err := n.atHome(ctx); err != nil && !errors.Is(err, archive.ErrRebuilding) {
		return err
	}
	return nil
}

// member says who this node is to the others.
func member(cfg *Config) (*replica.Member, error) {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name of this host: %w", err)
	}
	return &replica.Member{Home: host + ":" + dir, Address: cfg.Admin.Listen, Version: version()}, nil
}

// cassandraOptions says in the log's words what the configuration says.
func cassandraOptions(k *CassandraConfig, logger *slog.Logger) cassandra.Options {
	secure, err := k.TLS.load()
	if err != nil { // it was read when the configuration was checked, and is gone since
		logger.Error("log.cassandra.tls cannot be read any more", "error", err)
		secure = &tls.Config{MinVersion: tls.VersionTLS12} // never without
	}
	return cassandra.Options{
		Datacenters: k.Datacenters, LocalSerial: k.Consistency == consistencyLocal, TLS: secure,
		Hosts: k.Hosts, Port: k.Port, Datacenter: k.Datacenter, Keyspace: k.Keyspace,
		Username: k.Username, Password: string(k.Password), ReplicationFactor: k.ReplicationFactor, Logger: logger,
	}
}

// ownFolder makes the data folder, if it is not there, and takes it until the
// lock is closed: one process at a time, whatever its engine.
func ownFolder(dir string) (lock io.Closer, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err = vfs.Default.Lock(filepath.Join(dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", pebble.ErrLocked, err)
	}
	return lock, nil
}

// nodeFile is the name of this node where the log is not its own: made at the
// first start, kept in the data folder.
func nodeFile(dir string) (string, error) {
	file := filepath.Join(dir, "node")
	text, err := readBounded(file, 1<<10)
	if errors.Is(err, os.ErrNotExist) {
		name := newNodeName()
		return name, writePrivate(file, []byte(name+"\n"))
	}
	if err != nil {
		return "", err
	}
	if name := strings.TrimSpace(string(text)); name != "" {
		return name, nil
	}
	return "", fmt.Errorf("%s is empty: remove it, and the node gets a new name", file)
}

func newNodeName() string { return "node-" + object.NewID().String()[:8] }

// nodeName is the name of this node where the log is its own: made at the first
// start, kept in the log.
func nodeName(ctx context.Context, log oplog.Documents) (string, error) {
	known, err := log.Docs(ctx, oplog.DocNode, "", 1)
	if err != nil {
		return "", fmt.Errorf("read the node's name: %w", err)
	}
	if len(known) > 0 {
		return known[0].Name, nil
	}
	doc := oplog.Doc{Kind: oplog.DocNode, Name: newNodeName(), Epoch: oplog.NewEpoch(), Body: []byte("{}")}
	if err := log.SwapDoc(ctx, oplog.Epoch{}, doc); err != nil {
		return "", fmt.Errorf("keep the node's name: %w", err)
	}
	return doc.Name, nil
}
