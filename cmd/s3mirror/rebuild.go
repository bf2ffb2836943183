package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/archive"
	"github.com/s3mirror/s3mirror/internal/backend"
	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/rebuild"
	"github.com/s3mirror/s3mirror/internal/replica"
)

// rebuildFlags are what an operator may have to say about a log that is lost.
type rebuildFlags struct {
	without    []string
	deployment string
	stoppedFor time.Duration
}

func newRebuild(std streams, env environ) *cobra.Command {
	var f rebuildFlags
	var output string
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Make the log of a stopped node anew, of what the backends hold",
		Long: `Makes a log anew that was lost: of a stopped node, in its empty data folder or
keyspace. Buckets are known by their identity objects, the newest version of each
key by the stamps of its copies; keys whose replicas differ are healed by the next
serve. It needs the secret key of the lost node (secret.key, or
S3MIRROR_SECRET_KEY_FILE): without it no stamp can be read.

No gateway may run meanwhile. First it waits for replication.settle, because what
was in doubt when the log was lost may land until then. Every backend must answer:
of one that does not nothing is known, and the rebuild is not complete. Such a one
can be left out of all replica sets by --without.

It says what no bucket can tell, and so is lost: users, keys, settings, history.`,
		Args: noArgs,
	}
	file := configFlag(cmd)
	cmd.Flags().StringSliceVar(&f.without, "without", nil, "leave this backend out of every replica set (several: again, or with commas)")
	cmd.Flags().StringVar(&f.deployment, "deployment", "", "the log that is lost, where the buckets carry the identities of several")
	cmd.Flags().DurationVar(&f.stoppedFor, "stopped-for", 0, "for how long no gateway has run: the wait is so much shorter")
	registerOutput(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		cfg, err := mustConfig(*file, env)
		if err != nil {
			return err
		}
		if err := f.check(cfg); err != nil {
			return err
		}
		return withStopped(cmd.Context(), std, cfg, func(ctx context.Context, log oplog.Log) error {
			_, ring, err := openKeyring(env, cfg.DataDir, false)
			if err != nil {
				return err
			}
			say := func(step string) { fmt.Fprintln(std.err, step) }
			rep, err := rebuildLog(ctx, cfg, log, object.NewStampKey(ring.stamps), f, say, quietLogger(std))
			if err != nil {
				return err
			}
			if output == "json" {
				return writeDocument(std.out, rep)
			}
			return printRebuilt(newPrinter(std, env), rep)
		})
	}
	return cmd
}

func (f *rebuildFlags) check(cfg *Config) error {
	for _, name := range f.without {
		if !slices.Contains(cfg.backendNames(), name) {
			return usageError{fmt.Errorf("--without %s: there is no backend of that name", name)}
		}
	}
	if f.stoppedFor < 0 {
		return usageError{errors.New("--stopped-for: want 0 or more")}
	}
	return nil
}

// rebuildLog makes an empty log anew. It marks it as half until it is whole.
func rebuildLog(ctx context.Context, cfg *Config, log oplog.Log, stamps object.StampKey, f rebuildFlags, say func(string), logger *slog.Logger) (rep rebuild.Report, err error) {
	ends, done, err := bareBackends(cfg, stamps, f.without)
	if err != nil {
		return rep, err
	}
	defer done()
	without := object.NewReplicas(f.without...)
	times := cfg.times()
	err = archive.Rebuild(ctx, log, func(ctx context.Context) (err error) {
		rep, err = rebuild.Run(ctx, rebuild.Options{
			Log: log, Backends: ends, Deployment: f.deployment,
			Policy: func(bucket string) replica.Policy {
				p := policy(cfg.bucket(bucket))
				p.Replicas = p.Replicas.Minus(without)
				return p
			},
			Settle: times.Settle - f.stoppedFor, Gap: times.Gap, Told: say, Logger: logger,
		})
		return err
	})
	switch {
	case errors.Is(err, rebuild.ErrUsed):
		return rep, errors.Join(err, archive.Recover(context.WithoutCancel(ctx), log))
	case errors.Is(err, rebuild.ErrAway):
		err = fmt.Errorf("the rebuild is not complete: %w: run it again when the backend answers, or leave it out by --without NAME", err)
	case errors.Is(err, rebuild.ErrSeveral):
		err = fmt.Errorf("%w by --deployment", err)
	}
	if err != nil {
		return rep, fmt.Errorf("rebuild: %w", err)
	}
	return rep, nil
}

// bareBackends are the endpoints themselves: nothing is paced, and no breaker is in between.
func bareBackends(cfg *Config, stamps object.StampKey, without []string) (ends []rebuild.Backend, done func(), err error) {
	var remotes []io.Closer
	done = func() {
		for _, r := range remotes {
			_ = r.Close() // idle connections have nothing to say
		}
	}
	for _, c := range cfg.Backends {
		if slices.Contains(without, c.Name) {
			continue
		}
		o, err := remoteOptions(c, stamps)
		if err == nil {
			var r *backend.Remote
			if r, err = backend.NewRemote(o); err == nil {
				remotes, ends = append(remotes, r), append(ends, rebuild.Backend{Name: c.Name, Endpoint: r})
			}
		}
		if err != nil {
			done()
			return nil, nil, err
		}
	}
	return ends, done, nil
}

func printRebuilt(p *printer, rep rebuild.Report) error {
	var rows [][]any
	for _, b := range rep.Buckets {
		rows = append(rows, []any{b.Bucket, strings.Join(b.Replicas, ","), b.Keys, b.Differing, b.Kept, b.Deleted, b.Unplaced, b.Foreign, b.Aborted})
	}
	p.line("the log of deployment %s is there again; serve heals what differs", rep.Deployment)
	p.table([]any{"Bucket", "Replicas", "Keys", "Differ", "Kept", "Deleted", "By clock", "Foreign", "Uploads aborted"}, rows)
	p.line("kept: on some replicas only, and no delete is known; by clock: no stamp says which version is newest")
	p.line("lost with the old log:")
	for _, what := range rep.Lost {
		p.line("- %s", what)
	}
	return p.err
}

// lostTimeout bounds the look for the buckets of another log, at the start.
const lostTimeout = 5 * time.Second

// checkLost refuses to serve on a log that knows no bucket over buckets that belong to
// another one: that one was lost, or somebody else serves on it. With --rebuild it is made
// anew.
func (n *node) checkLost(ctx context.Context) error {
	err := n.atHome(ctx)
	half := errors.Is(err, archive.ErrRebuilding)
	if err != nil && !(half && n.rebuild) {
		return err
	}
	known, err := n.log.Docs(ctx, oplog.DocBucket, "", 1)
	if err != nil {
		return fmt.Errorf("read the buckets: %w", err)
	}
	if len(known) > 0 {
		return nil
	}
	strangers, err := n.strangers(ctx)
	switch {
	case err != nil:
		return err
	case len(strangers) == 0 && !half:
		return nil
	case !n.rebuild:
		return fmt.Errorf("the log knows no bucket, and on the backends stand buckets of another log (%s): if this node's log was lost, run `s3mirror rebuild --config FILE`, or serve --rebuild; if they are another deployment's, never let two share a bucket: use other credentials or remove them",
			strings.Join(strangers, ", "))
	}
	_, ring, err := openKeyring(n.env, n.cfg.DataDir, false)
	if err != nil {
		return err
	}
	say := func(step string) { n.logger.InfoContext(ctx, "rebuilding the log", "step", step) }
	rep, err := rebuildLog(ctx, n.cfg, n.log, object.NewStampKey(ring.stamps), rebuildFlags{}, say, n.logger)
	if err != nil {
		return err
	}
	for _, b := range rep.Buckets {
		n.logger.InfoContext(ctx, "bucket is known again", "bucket", b.Bucket, "keys", b.Keys, "differing", b.Differing, "kept", b.Kept, "deleted", b.Deleted, "unplaced", b.Unplaced, "foreign", b.Foreign)
	}
	n.logger.WarnContext(ctx, "the old log is lost, and with it what no bucket can tell", "lost", rep.Lost)
	return nil
}

// strangers are buckets that carry the identity of another log.
func (n *node) strangers(ctx context.Context) (names []string, err error) {
	own := ""
	switch doc, err := n.log.Doc(ctx, oplog.DocGeneration, "deployment"); {
	case err == nil:
		own = string(doc.Body)
	case !errors.Is(err, oplog.ErrNoRow):
		return nil, fmt.Errorf("read the identity of the log: %w", err)
	}
	ends, done, err := bareBackends(n.cfg, object.StampKey{}, nil)
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, lostTimeout)
	defer cancel()
	found, err := rebuild.Find(ctx, ends, func(name string, err error) {
		n.logger.DebugContext(ctx, "backend cannot say whose its buckets are", "backend", name, "error", err)
	})
	const most = 5
	for _, b := range found {
		if strings.Contains(own, b.Identity.Deployment) {
			continue
		}
		if names = append(names, b.Real+" on "+b.Backend); len(names) > most {
			names[most] = "and more"
			break
		}
	}
	return names, err
}
