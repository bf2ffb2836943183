package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/archive"
	"github.com/s3mirror/s3mirror/internal/cassandra"
	"github.com/s3mirror/s3mirror/internal/oplog"
	"github.com/s3mirror/s3mirror/internal/pebble"
)

// newLog is `s3mirror log`.
func newLog(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "log", Short: "The operation log: keep copies, check it, move it to another engine", Args: noArgs, RunE: needsCommand}
	cmd.AddCommand(newLogBackup(std, env), newLogCheck(std, env), newLogExport(std, env), newLogImport(std, env))
	return cmd
}

const nameOneFile = "name one FILE"

func newLogBackup(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a copy of the log into a file, of a stopped node or of a running one",
		Long: `Writes everything that the log holds into FILE, as it stands at one moment.
With --config the node is stopped, and its log is read; without, the running
server is asked (embedded engine only), as an admin.

A backup brings users, keys, buckets, settings and history back:
s3mirror log import --without-rows. Its rows tell of a moment that is over, so
it is not for moving a node: that is s3mirror log export.
The secret key is not in it: keep secret.key of data_dir apart from it.`,
		Args: exactly(1, nameOneFile),
	}
	file := configFlag(cmd)
	var addr string
	registerAddr(cmd, &addr)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *file == "" {
			return backupRunning(cmd.Context(), std, env, clientFlags{addr: addr, output: "table"}, args[0])
		}
		if addr != "" {
			return usageError{errors.New("--config is for a stopped node, --addr for a running one: name one of them")}
		}
		cfg, err := mustConfig(*file, env)
		if err != nil {
			return err
		}
		return withStopped(cmd.Context(), std, cfg, func(ctx context.Context, log oplog.Log) error {
			return writeArchive(ctx, std, log, args[0], archive.Header{Engine: cfg.Log.Engine})
		})
	}
	return cmd
}

// backupRunning asks the server, and reads what came to its end: an answer that
// was cut off is no backup.
func backupRunning(ctx context.Context, std streams, env environ, flags clientFlags, file string) error {
	client, err := flags.client(env)
	if err != nil {
		return err
	}
	if err := newFile(file, func(w io.Writer) error { return client.BackupLog(ctx, w) }); err != nil {
		return explain(client, fmt.Errorf("write %s: %w", file, err))
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	_, counts, err := archive.Check(in)
	if err != nil {
		return errors.Join(fmt.Errorf("what the server sent: %w", err), os.Remove(file))
	}
	fmt.Fprintf(std.out, "%s holds %s\n", file, counts)
	return nil
}

// backup writes a copy of this node's log as it stands; nil: its engine keeps
// copies by itself.
func (n *node) backup() func(context.Context, io.Writer) error {
	log, ok := n.log.(*pebble.Log)
	if !ok {
		return nil
	}
	return func(ctx context.Context, w io.Writer) (err error) {
		at, done, err := log.Snapshot(ctx)
		if errors.Is(err, pebble.ErrLocked) {
			return admin.ErrBackupBusy
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		_, err = archive.Export(ctx, at, w, archive.Header{Created: time.Now().UTC(), Version: version(), Engine: enginePebble})
		return err
	}
}

func newLogExport(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the log of a stopped node into a file, to go on with it elsewhere",
		Long: `Writes everything that the log of a stopped node holds into FILE, for
s3mirror log import, and marks the log as moved: serve refuses it from then on,
because two that serve on the same buckets would undo each other's work.
--undo takes the mark back, as long as nobody serves on what was imported.
The secret key is not in it: the new node needs the same one
(S3MIRROR_SECRET_KEY_FILE, or secret.key in its data_dir).`,
		Args: between(0, 1, "name at most one FILE"),
	}
	file := configFlag(cmd)
	undo := cmd.Flags().Bool("undo", false, "take the mark back: this log is served again, and the file is forgotten")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) == 1) == *undo {
			return usageError{errors.New("name one FILE, or --undo")}
		}
		cfg, err := mustConfig(*file, env)
		if err != nil {
			return err
		}
		return withStopped(cmd.Context(), std, cfg, func(ctx context.Context, log oplog.Log) error {
			if *undo {
				return archive.Recall(ctx, log)
			}
			return export(ctx, std, log, args[0], cfg)
		})
	}
	return cmd
}

// export marks first: who starts on the log meanwhile is refused, or was there
// before and is seen.
func export(ctx context.Context, std streams, log oplog.Log, file string, cfg *Config) error {
	if err := archive.CheckHome(ctx, log); err != nil {
		return err
	}
	if err := archive.Retire(ctx, log); err != nil {
		return err
	}
	err := nobodyServes(ctx, log, time.Duration(cfg.Replication.Lease))
	if err == nil {
		err = writeArchive(ctx, std, log, file, archive.Header{Engine: cfg.Log.Engine, Moved: true})
	}
	if err != nil {
		return errors.Join(err, archive.Recall(context.WithoutCancel(ctx), log))
	}
	fmt.Fprintln(std.out, "serve refuses this log from now on; `s3mirror log export --undo` takes that back")
	return nil
}

func newLogImport(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Fill an empty log from a file that s3mirror log export wrote",
		Long: `Fills the log of --config, which must be empty and not in use, from FILE.
Nothing is written of a file that is damaged. Of an import that is cut off serve
refuses what there is: empty the log (remove db/ in data_dir, or drop the
keyspace and migrate) and import again.

A backup is refused, unless --without-rows leaves out what is true of its moment
only. The log then knows of no key that lags: use it when all replicas of all
buckets are equal.`,
		Args: exactly(1, nameOneFile),
	}
	file := configFlag(cmd)
	var o archive.ImportOptions
	cmd.Flags().BoolVar(&o.WithoutRows, "without-rows", false, "leave out the rows of keys, and uploads")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := mustConfig(*file, env)
		if err != nil {
			return err
		}
		in, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		return withStopped(cmd.Context(), std, cfg, func(ctx context.Context, log oplog.Log) error {
			counts, err := archive.Import(ctx, log, in, o)
			if errors.Is(err, archive.ErrPast) {
				err = fmt.Errorf("%w: move a node by `s3mirror log export`, or take --without-rows", err)
			}
			if err != nil {
				return fmt.Errorf("import %s: %w", args[0], err)
			}
			fmt.Fprintf(std.out, "imported %s\n", counts)
			return nil
		})
	}
	return cmd
}

// checked is what `log check` finds, as JSON.
type checked struct {
	Sound     bool     `json:"sound"`
	Rows      int64    `json:"rows"`
	Documents int64    `json:"documents"`
	Parts     int64    `json:"parts"`
	Events    int64    `json:"events"`
	Faults    []string `json:"faults"`
	More      int64    `json:"more"` // faults that are not listed
}

func newLogCheck(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Read a whole log, or a file with a copy of one, and say what is wrong",
		Long: `Reads every record of the embedded log of --config, whose node is stopped, or of
a file that log backup or log export wrote, and says of each that cannot be
what is wrong. It changes nothing. Exit code 3: something is wrong.`,
		Args: between(0, 1, "name at most one FILE"),
	}
	file := configFlag(cmd)
	var output string
	registerOutput(cmd, &output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (len(args) == 1) == (*file != "") {
			return usageError{errors.New("name one FILE, or the --config of a stopped node")}
		}
		if err := checkOutput(output); err != nil {
			return err
		}
		var found checked
		var err error
		if len(args) == 1 {
			found, err = checkArchive(args[0])
		} else {
			found, err = checkEmbedded(cmd.Context(), std, env, *file)
		}
		if err != nil {
			return err
		}
		return found.print(std.out, output)
	}
	return cmd
}

func (f checked) print(w io.Writer, output string) error {
	var err error
	if f.Sound = len(f.Faults) == 0; output == "json" {
		err = json.NewEncoder(w).Encode(f)
	} else {
		for _, fault := range f.Faults {
			fmt.Fprintln(w, fault)
		}
		if f.More > 0 {
			fmt.Fprintf(w, "and %d more\n", f.More)
		}
		_, err = fmt.Fprintf(w, "%s\n", archive.Counts{Rows: f.Rows, Documents: f.Documents, Parts: f.Parts, Events: f.Events})
	}
	if err == nil && !f.Sound {
		err = fmt.Errorf("%w: %d faults", errNotHealthy, int64(len(f.Faults))+f.More)
	}
	return err
}

func checkArchive(file string) (checked, error) {
	in, err := os.Open(file)
	if err != nil {
		return checked{}, err
	}
	defer in.Close()
	_, n, err := archive.Check(in)
	found := checked{Rows: n.Rows, Documents: n.Documents, Parts: n.Parts, Events: n.Events}
	if errors.Is(err, archive.ErrDamaged) {
		found.Faults, err = []string{err.Error()}, nil
	}
	return found, err
}

func checkEmbedded(ctx context.Context, std streams, env environ, file string) (checked, error) {
	cfg, err := mustConfig(file, env)
	if err != nil {
		return checked{}, err
	}
	if cfg.Log.Engine != enginePebble {
		return checked{}, usageError{errors.New("log.engine is cassandra: it checks its files by itself (nodetool verify)")}
	}
	log, err := pebble.Open(cfg.DataDir, pebble.Options{ReadOnly: true, Logger: quietLogger(std)})
	if err != nil {
		return checked{}, fmt.Errorf("data_dir: %w", err)
	}
	report, err := log.Check(ctx)
	if err = errors.Join(err, log.Close()); err != nil {
		return checked{}, err
	}
	return checked{
		Rows: report.Rows, Documents: report.Documents, Parts: report.Parts, Events: report.Events,
		Faults: report.Faults, More: report.More,
	}, nil
}

func quietLogger(std streams) *slog.Logger {
	return slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelError}))
}

// withStopped opens the log of a node that is not running, and the data folder
// with it, and hands it to use.
func withStopped(ctx context.Context, std streams, cfg *Config, use func(context.Context, oplog.Log) error) (err error) {
	logger := quietLogger(std)
	if cfg.Log.Engine == enginePebble {
		log, err := pebble.Open(cfg.DataDir, pebble.Options{Logger: logger})
		if errors.Is(err, pebble.ErrLocked) {
			err = fmt.Errorf("%w: stop the node first", err)
		}
		if err != nil {
			return fmt.Errorf("data_dir: %w", err)
		}
		return errors.Join(use(ctx, log), log.Close())
	}
	folder, err := ownFolder(cfg.DataDir)
	if err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	log, err := cassandra.Open(ctx, cassandraOptions(cfg.Log.Cassandra, logger))
	if err != nil {
		return fmt.Errorf("log.cassandra: %w", err)
	}
	return errors.Join(use(ctx, log), log.Close())
}

// nobodyServes wants no document of a node that changes within a lease: a node that
// lives renews its own. The node of an embedded log has one that never changes, and
// it is this process that holds the log. errNodeLives.
func nobodyServes(ctx context.Context, log oplog.Documents, lease time.Duration) error {
	before, err := log.Docs(ctx, oplog.DocNode, "", 1000)
	if err != nil {
		return err
	}
	if _, embedded := log.(*pebble.Log); embedded || len(before) == 0 {
		return nil
	}
	if !pause(ctx, lease) {
		return ctx.Err()
	}
	after, err := log.Docs(ctx, oplog.DocNode, "", 1000)
	if err != nil {
		return err
	}
	epochs := map[string]oplog.Epoch{}
	for _, d := range before {
		epochs[d.Name] = d.Epoch
	}
	for _, d := range after {
		if epochs[d.Name] != d.Epoch {
			return fmt.Errorf("%w: %s", errNodeLives, d.Name)
		}
	}
	return nil
}

// pause waits; false: ctx was done first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var errNodeLives = errors.New("a node serves on this log: stop it first")

// writeArchive writes a new file, readable by its owner only. What is there
// already is never replaced, and what fails leaves nothing.
func writeArchive(ctx context.Context, std streams, log oplog.Log, file string, h archive.Header) error {
	h.Created, h.Version = time.Now().UTC(), version()
	var counts archive.Counts
	err := newFile(file, func(w io.Writer) (err error) {
		counts, err = archive.Export(ctx, log, w, h)
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	fmt.Fprintf(std.out, "%s holds %s\n", file, counts)
	return nil
}

// newFile makes a file durably, or not at all.
func newFile(file string, write func(io.Writer) error) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return syncDir(filepath.Dir(file))
}
