package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) > 3 && os.Args[1] == fanoutVerb {
		l, err := net.Listen("tcp", os.Args[2])
		if err == nil {
			err = serveFanout(l, os.Args[3:])
		}
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(start(ctx, os.Args[1:]))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bench is one run of the command.
type bench struct {
	processes
	program          string // s3mirror
	versitygwProgram string
	rcloneProgram    string // empty: not here
	cassandraProgram string // a script that runs a node
	cassandraJars    string // a file that is there when the script can
	memoryDir        string // the backends' folders, in memory
	diskDir          string // the gateways' logs, on a disk
	perfDir          string // profiles; empty: none
	rounds           int    // instead of each experiment's own; 0: theirs
	allowForeign     bool
	machine          machine
	ends             []func() error // of what the experiment under way has started
	keysMade         int
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// atEnd notes what has to be ended with the experiment, last first.
func (b *bench) atEnd(f func() error) { b.ends = append(b.ends, f) }

// cleanUp ends everything that the experiment has started.
func (b *bench) cleanUp(err *error) {
	for i := len(b.ends) - 1; i >= 0; i-- {
		*err = errors.Join(*err, b.ends[i]())
	}
	b.ends = nil
}

// start runs the command.
func start(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	b := &bench{}
	flags.StringVar(&b.program, "s3mirror", "bin/s3mirror", "the program under test")
	flags.StringVar(&b.versitygwProgram, "versitygw", ".tools/bin/versitygw", "the S3 server of the saturated rows")
	flags.StringVar(&b.rcloneProgram, "rclone", ".tools/py-rclone/bin/rclone", "the peer; it is left out when it is not there")
	flags.StringVar(&b.cassandraProgram, "cassandra", "test/cassandra/cassandra.sh", "runs a node of Apache Cassandra, for the rows that are named for it")
	flags.StringVar(&b.cassandraJars, "cassandra-jars", ".tools/cassandra/.stamp", "is there when it is installed")
	flags.StringVar(&b.memoryDir, "memory", "/dev/shm", "a folder in memory, for the backends")
	flags.StringVar(&b.diskDir, "disk", ".bench", "a folder on a disk, for the gateway's log and what the programs say")
	flags.IntVar(&b.rounds, "rounds", 0, "clean rounds of every experiment, instead of its own number")
	flags.BoolVar(&b.allowForeign, "allow-foreign", false, "count void rounds too, and say so: for development")
	flags.StringVar(&b.perfDir, "perf", "", "keep a profile of the watched program there, by perf, for the last turn of each way (the figures suffer)")
	rows := flags.String("rows", "", "only the rows whose names begin so, separated by commas")
	list := flags.Bool("list", false, "list the rows and measure nothing")
	out := flags.String("out", "", "write the document there when all rows were asked for; those of Cassandra are apart")
	apart := flags.String("out-cassandra", "", "write the document there when exactly Cassandra's rows were asked for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen := choose(experiments, fields(*rows))
	if *list {
		if *rows == "" {
			chosen = experiments
		}
		for _, e := range chosen {
			for _, r := range e.rows {
				fmt.Printf("%-28s %s: %s %s\n", r.id, r.kind, r.figure, r.target)
			}
		}
		return nil
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no row begins with %q", *rows)
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer b.stopAll()
	b.say("%s, %d cores, the log on %s", b.machine.CPU, b.machine.Cores, b.machine.LogDisk)
	if b.rcloneProgram == "" {
		chosen = slices.DeleteFunc(chosen, func(e experiment) bool { return e.name == peers.name })
	}
	found := b.measureAll(ctx, chosen)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fmt.Print(table(found))
	err = nil
	switch {
	case *out != "" && *rows == "":
		err = write(*out, page, b.machine, found)
	case *apart != "" && *rows == cassandraRows && failures(found) == nil:
		err = write(*apart, cassandraPage, b.machine, found)
	}
	return errors.Join(err, failures(found))
}

// cassandraRows is how the names of the rows begin that have a document of their own.
const cassandraRows = "cassandra"

// write makes a document of the findings.
func write(file, template string, m machine, found []finding) error {
	text, err := document(template, m, found)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}

// fields are the names of a list with commas or spaces.
func fields(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// prepare makes the folders and looks at the machine.
func (b *bench) prepare(ctx context.Context) (err error) {
	for _, p := range []*string{&b.program, &b.versitygwProgram, &b.rcloneProgram, &b.cassandraProgram, &b.cassandraJars, &b.diskDir, &b.memoryDir} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	for _, p := range []string{b.program, b.versitygwProgram} {
		if _, err := os.Stat(p); err != nil {
			return fmt.Errorf("%w: run make build and scripts/tools.sh", err)
		}
	}
	if _, err := os.Stat(b.rcloneProgram); err != nil {
		b.say("rclone is not here, the rows of peers are left out: %v", err)
		b.rcloneProgram = ""
	}
	if err := os.MkdirAll(b.diskDir, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(b.diskDir, "run-"); err != nil {
		return err
	}
	b.machine, err = b.lookAtMachine(ctx)
	return err
}

// choose returns the experiments that have a row that begins with one of the
// names, with those rows; without names all but those apart.
func choose(all []experiment, names []string) []experiment {
	var chosen []experiment
	if len(names) == 0 {
		for _, e := range all {
			if !e.apart {
				chosen = append(chosen, e)
			}
		}
		return chosen
	}
	for _, e := range all {
		var rows []row
		for _, r := range e.rows {
			for _, name := range names {
				if strings.HasPrefix(r.id, name) {
					rows = append(rows, r)
					break
				}
			}
		}
		if e.rows = rows; len(rows) > 0 {
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// measureAll runs the experiments. One that fails costs its rows, not the run.
func (b *bench) measureAll(ctx context.Context, all []experiment) []finding {
	var found []finding
	for _, e := range all {
		b.say("%s: %s", e.name, e.about)
		f, err := b.measure(ctx, e)
		if ctx.Err() != nil {
			return found
		}
		if err != nil {
			b.say("  not measured: %v\n  what the programs said is in %s", err, b.dir)
			f = nil
			for _, r := range e.rows {
				f = append(f, finding{ID: r.id, Kind: r.kind, Figure: r.figure, Target: r.target, About: e.about, Failure: err.Error()})
			}
		}
		found = append(found, f...)
	}
	return found
}

// failures is the command's error: what could not be measured.
func failures(found []finding) error {
	var names []string
	for _, f := range found {
		if f.Failure != "" {
			names = append(names, f.ID)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("not measured: %s", strings.Join(names, ", "))
}
