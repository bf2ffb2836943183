package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2 // wrong usage or configuration
	exitNotConverged = 3 // not converged, or not healthy, or replicas differed
)

// environ looks an environment variable up, as os.LookupEnv does.
type environ func(name string) (string, bool)

// get returns the variable, or empty.
func (env environ) get(name string) string {
	value, _ := env(name)
	return value
}

// streams are the three standard streams.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// usageError marks what the user has to change on the command line or in the
// configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Why a check that was asked for does not hold.
var (
	errNotConverged = errors.New("not converged")
	errNotHealthy   = errors.New("not healthy")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	std := streams{os.Stdin, os.Stdout, os.Stderr}
	err := run(ctx, os.Args[1:], std, os.LookupEnv)
	stop()
	os.Exit(printError(std.err, err))
}

// run carries out one command line. Its end is the end of everything it
// started. The end of ctx asks a server to shut down in order, which is not an
// error.
func run(ctx context.Context, args []string, std streams, env environ) error {
	root := newRoot(std, env)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// printError prints an error, if there is one to tell, and returns the exit code.
func printError(w io.Writer, err error) int {
	if err != nil {
		fmt.Fprintf(w, "s3mirror: %v\n", err)
	}
	return exitCode(err)
}

// exitCode is the one place that turns errors into exit codes.
func exitCode(err error) int {
	var usage usageError
	var config *configError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	case errors.Is(err, errNotConverged), errors.Is(err, errNotHealthy), errors.Is(err, errDifferences):
		return exitNotConverged
	}
	return exitFailed
}

// newRoot is the table of contents of the command line.
func newRoot(std streams, env environ) *cobra.Command {
	root := &cobra.Command{
		Use:   "s3mirror",
		Short: "One S3 server in front of many, which keeps them equal",
		Long: `s3mirror is one S3 namespace kept equal on N S3 backends.

Try it:     s3mirror demo
Run it:     s3mirror serve --config s3mirror.yaml
Look at it: s3mirror status`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Usage()
			return usageError{errors.New("name a command")}
		},
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(
		newServe(std, env),
		newDemo(std, env),
		newCheckConfig(std, env),
		newMigrate(std, env),
		newRebuild(std, env),
		newLog(std, env),
		newLogin(std, env),
		newLogout(std, env),
		newStatus(std, env),
		newLag(std, env),
		newHistory(std, env),
		newEvents(std, env),
		newHeal(std, env),
		newResync(std, env),
		newScrub(std, env),
		newAdopt(std, env),
		newJobs(std, env),
		newBackend(std, env),
		newQualify(std, env),
		newBucket(std, env),
		newMode(std, env),
		newObject(std, env),
		newUser(std, env),
		newKey(std, env), newSecretKey(std, env),
		newVersion(std),
		newMan(std),
	)
	return root
}

// noArgs refuses arguments; on a command that has others it says which exist.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return usageError{fmt.Errorf("unknown command %q: `%s --help` lists them", args[0], cmd.CommandPath())}
	}
	return usageError{fmt.Errorf("%s takes no argument, got %q", cmd.CommandPath(), args[0])}
}
