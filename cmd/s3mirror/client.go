package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// defaultAddr is where the admin API is unless someone says otherwise.
const defaultAddr = "http://127.0.0.1:9001"

// loginPath is the file of the saved login in the user's configuration folder.
func loginPath(env environ) (string, error) {
	dir := env.get("XDG_CONFIG_HOME")
	if dir == "" && runtime.GOOS == "windows" {
		dir = env.get("AppData")
	}
	if dir == "" && env.get("HOME") != "" {
		dir = filepath.Join(env.get("HOME"), ".config")
	}
	if dir == "" {
		return "", errors.New("there is no folder for the user's configuration: set HOME or XDG_CONFIG_HOME")
	}
	return filepath.Join(dir, "s3mirror", "login.json"), nil
}

// clientFlags are the flags of every command that is a client of the admin API.
type clientFlags struct {
	addr   string
	output string
}

func (f *clientFlags) register(cmd *cobra.Command) {
	registerAddr(cmd, &f.addr)
	registerOutput(cmd, &f.output)
}

// registerAddr adds --addr.
func registerAddr(cmd *cobra.Command, addr *string) {
	cmd.Flags().StringVar(addr, "addr", "", "URL of the admin API (env S3MIRROR_ADDR, default "+defaultAddr+")")
}

// registerOutput adds --output.
func registerOutput(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "table", "table or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// checkOutput wants a form that exists.
func checkOutput(output string) error {
	if output != "table" && output != "json" {
		return usageError{fmt.Errorf("--output %q: want table or json", output)}
	}
	return nil
}

// anonymous finds the server: what is said on the command line wins over the
// environment, the environment over the saved login.
func (f *clientFlags) anonymous(env environ) (*admin.Client, error) {
	if err := checkOutput(f.output); err != nil {
		return nil, err
	}
	saved, err := savedLogin(env)
	if err != nil {
		return nil, err
	}
	c := &admin.Client{}
	for _, addr := range []string{f.addr, env.get("S3MIRROR_ADDR"), saved.Addr, defaultAddr} {
		if addr != "" {
			c.BaseURL = addr
			break
		}
	}
	if u, err := url.Parse(c.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usageError{fmt.Errorf("address %q: want a URL, as in %s", c.BaseURL, defaultAddr)}
	}
	return c, nil
}

// client finds the server and who we are: what is in the environment wins over
// the saved login, which is given to no other address than its own.
func (f *clientFlags) client(env environ) (*admin.Client, error) {
	c, err := f.anonymous(env)
	if err != nil {
		return nil, err
	}
	c.User, c.Password = env.get("S3MIRROR_USER"), env.get("S3MIRROR_PASSWORD")
	if token := env.get("S3MIRROR_TOKEN"); token != "" {
		c.Token = func(context.Context) (string, error) { return token, nil }
	}
	saved, err := savedLogin(env)
	if err != nil || c.Token != nil || c.User != "" || c.BaseURL != saved.Addr {
		return c, err
	}
	if saved.RefreshToken != "" {
		c.Token = func(ctx context.Context) (string, error) { return saved.token(ctx, env) }
	} else {
		c.User, c.Password = saved.User, saved.Password
	}
	return c, nil
}

// call is one run of a command that is a client of the admin API.
type call struct {
	*printer
	ctx    context.Context
	client *admin.Client
	output string
}

// clientCommand makes a command whose run is given a client.
func clientCommand(cmd *cobra.Command, std streams, env environ, run func(c call, args []string) error) *cobra.Command {
	var flags clientFlags
	flags.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := flags.client(env)
		if err != nil {
			return err
		}
		c := call{newPrinter(std, env), cmd.Context(), client, flags.output}
		return explain(client, run(c, args))
	}
	return cmd
}

// whom is the user that was named, or the caller.
func (c call) whom(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	who, err := admin.Do[api.Whoami](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.Validate(c.ctx) })
	return who.Login, err
}

// document prints the API's own document.
func (c call) document(document any, err error) error {
	if err != nil {
		return err
	}
	return writeDocument(c.out, document)
}

// done says what was done; as JSON there is nothing to say.
func (c call) done(err error, format string, args ...any) error {
	if err == nil && c.output != "json" {
		c.line(format, args...)
		err = c.err
	}
	return err
}

// explain adds what to do to an error of the admin API.
func explain(c *admin.Client, err error) error {
	var p *admin.Problem
	var usage usageError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p) && p.Status == 401:
		return fmt.Errorf("%w: log in with s3mirror login, or set S3MIRROR_USER and S3MIRROR_PASSWORD", err)
	case errors.As(err, &p):
		if todo := todos[strings.TrimPrefix(p.Type, "urn:s3mirror:problem:")]; todo != "" {
			return fmt.Errorf("%w: %s", err, todo)
		}
		return err
	case errors.As(err, &usage), errors.Is(err, errBackendRefused), errors.Is(err, errDifferences), errors.Is(err, errJob), errors.Is(err, errLeft):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("admin API at %s: %w: is the server running? Give its address in --addr or S3MIRROR_ADDR", c.BaseURL, err)
	}
	return fmt.Errorf("admin API at %s: %w", c.BaseURL, err)
}

// todos are what to do about problems, by their types.
var todos = map[string]string{
	"forbidden":        "s3mirror user show tells what you may do, and an administrator can change it",
	"unknown-user":     "s3mirror user list shows who there is",
	"unknown-key":      "s3mirror key list shows those that there are",
	"unknown-job":      "s3mirror job list shows those that there are",
	"job-under-way":    "s3mirror job list shows it; s3mirror job cancel ends it",
	"unknown-backend":  "s3mirror backend list shows those that there are",
	"no-such-bucket":   "s3mirror bucket list shows those that there are",
	"no-such-key":      "s3mirror object list shows those that there are",
	"bucket-not-empty": "delete what is in it first: s3mirror object list shows it",
	"no-bucket":        "s3mirror bucket create makes one",
	"backend-away":     "s3mirror backend show tells more",
	"slow-down":        "too few backends can do it now; s3mirror status shows them; try again",
	"log-unavailable":  "the log of the server does not answer; try again, and look at the server's own log",
	"internal":         "look for the request in the log of the server",
}

// writeDocument prints a document of the API as it is.
func writeDocument(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(document)
}
