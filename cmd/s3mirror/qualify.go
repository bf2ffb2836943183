package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/s3mirror/s3mirror/internal/object"
	"github.com/s3mirror/s3mirror/internal/probe"
	"github.com/s3mirror/s3mirror/internal/sigv4"
)

// qualifyFlags are the flags of `s3mirror qualify`.
type qualifyFlags struct {
	backend     BackendConfig
	virtualHost bool
	bucket      string
	brief       bool
	output      string
}

// newQualify is `s3mirror qualify ENDPOINT`.
func newQualify(std streams, env environ) *cobra.Command {
	var f qualifyFlags
	cmd := &cobra.Command{
		Use:   "qualify ENDPOINT",
		Short: "Find out whether an S3 endpoint may hold replicas, without a server",
		Long: `Finds out what an S3 endpoint does, by asking it: whether it refuses damaged and
cut bodies and reads its own writes, what its conditions and ETags are worth, which
keys it keeps apart, how late a write may land. Prints the level of fencing that it
earns (F0, F1, F2), how bodies must travel, and every finding with what was seen; an
endpoint that is unsafe is refused, in words, and the exit code is 1.

It needs no running server. It works in a bucket of its own, which it makes and removes,
or below .s3mirror/ of the one that is named, and removes what it wrote, also when it
is interrupted. It takes a little more than a minute: what was cut is watched for so long.`,
		Args: exactly(1, "name one ENDPOINT, as in https://s3.example.org"),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.backend.AccessKeyID, "access-key-id", "", "access key of the endpoint")
	flags.StringVar((*string)(&f.backend.SecretAccessKey), "secret-access-key", "", "its secret; other users of this host can see it: better name a file")
	flags.StringVar(&f.backend.SecretAccessKeyFile, "secret-access-key-file", "", "file with the secret")
	flags.StringVar(&f.backend.Region, "region", "us-east-1", "region of the endpoint")
	flags.StringVar(&f.backend.CAFile, "ca-file", "", "trust the certificates of this PEM file instead of the system's")
	flags.BoolVar(&f.virtualHost, "virtual-host", false, "address buckets in the host name instead of the path")
	flags.StringVar(&f.bucket, "bucket", "", "work in this bucket (default: one that is made and removed)")
	flags.BoolVar(&f.brief, "brief", false, "only the probes that a backend meets at every start: some seconds")
	registerOutput(cmd, &f.output)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.backend.Endpoint = args[0]
		if err := f.check(); err != nil {
			return err
		}
		return f.run(cmd, std, env)
	}
	return cmd
}

// check completes the flags and says everything that is wrong with them.
func (f *qualifyFlags) check() error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	b, pathStyle := &f.backend, !f.virtualHost
	b.Name, b.PathStyle, b.PayloadMode = "endpoint", &pathStyle, payloadAuto
	var wrong []error
	bad := func(path, format string, args ...any) {
		flag := "--" + strings.ReplaceAll(strings.TrimPrefix(path, "qualify."), "_", "-")
		if flag == "--endpoint" {
			flag = "ENDPOINT"
		}
		wrong = append(wrong, fmt.Errorf("%s: %s", flag, fmt.Sprintf(format, args...)))
	}
	if file := b.SecretAccessKeyFile; file != "" && b.SecretAccessKey != "" {
		bad("secret_access_key_file", "give it, or --secret-access-key, not both")
	} else if file != "" {
		text, err := readBounded(file, 64<<10)
		if err != nil {
			bad("secret_access_key_file", "%v", err)
		}
		b.SecretAccessKey = sigv4.Secret(strings.TrimRight(string(text), "\r\n"))
	}
	validateEndpoint("qualify", b.Endpoint, bad)
	validateAccess("qualify", *b, bad)
	if len(wrong) > 0 {
		return usageError{errors.Join(wrong...)}
	}
	return nil
}

func (f *qualifyFlags) run(cmd *cobra.Command, std streams, env environ) error {
	o, err := remoteOptions(f.backend, object.StampKey{})
	if err != nil {
		return usageError{err}
	}
	effort := probe.Thorough()
	if f.brief {
		effort = probe.Brief()
	}
	shown := newProbing(std)
	effort.Told = shown.told
	rep, err := probe.Alone(cmd.Context(), o, f.bucket, effort)
	shown.end()
	switch {
	case err != nil && cmd.Context().Err() != nil:
		return fmt.Errorf("qualify %s: interrupted; what was written is removed, unless this says otherwise: %w", f.backend.Endpoint, err)
	case err != nil && rep.Level == "":
		return fmt.Errorf("qualify %s: %s: %w", f.backend.Endpoint, advice(err), err)
	}
	printErr := f.print(newPrinter(std, env), rep)
	if rep.Level == probe.LevelRefused {
		err = errors.Join(err, errors.New("the endpoint is refused"))
	}
	return errors.Join(printErr, err)
}

func (f *qualifyFlags) print(p *printer, rep probe.Report) error {
	if f.output == "json" {
		return writeDocument(p.out, rep)
	}
	p.line("%s: level %s, bodies framed as %s", rep.Endpoint, rep.Level, list(words([]string{rep.PayloadMode}), "none"))
	for _, reason := range rep.Reasons {
		p.line("%s", p.warn(reason))
	}
	var rows [][]any
	for _, found := range rep.Probes {
		rows = append(rows, []any{found.Name, string(found.Result), strings.TrimSpace(found.Detail)})
	}
	p.table([]any{"Probe", "Result", ""}, rows)
	return p.err
}

// probing tells of the work while it goes on: a line that is written over on a terminal,
// one line for each finding elsewhere.
type probing struct {
	std      streams
	terminal bool
	n        int
}

func newProbing(std streams) *probing {
	file, ok := std.err.(*os.File)
	return &probing{std: std, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

func (p *probing) told(found probe.Probe) {
	p.n++
	if p.terminal {
		fmt.Fprintf(p.std.err, "\r\x1b[K%d probes made, the last: %s: %s", p.n, found.Name, found.Result)
		return
	}
	fmt.Fprintf(p.std.err, "%s: %s\n", found.Name, found.Result)
}

func (p *probing) end() {
	if p.terminal {
		fmt.Fprint(p.std.err, "\r\x1b[K")
	}
}
