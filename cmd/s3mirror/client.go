package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
)

// defaultAddr is where the admin API is unless someone says otherwise.
const defaultAddr = "http://127.0.0.1:9001"

// login is what the demo saves for the commands in another terminal.
type login struct {
	Addr     string `json:"addr"`
	User     string `json:"user"`
	Password string `json:"password"`
}

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

// save writes the login so that only its owner can read it, in one step: a
// reader sees the old one or the new one.
func (l login) save(env environ) error {
	path, err := loginPath(env)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(path, append(text, '\n'))
}

// forget removes the saved login if it is still this one.
func (l login) forget(env environ) {
	if saved, err := savedLogin(env); err == nil && saved == l {
		path, _ := loginPath(env)
		_ = os.Remove(path) // a login that stays opens nothing: its server is gone
	}
}

// savedLogin reads the login; the zero login when there is none.
func savedLogin(env environ) (login, error) {
	path, err := loginPath(env)
	if err != nil {
		return login{}, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return login{}, nil
	}
	if err != nil {
		return login{}, fmt.Errorf("saved login: %w", err)
	}
	var l login
	if err := json.Unmarshal(text, &l); err != nil {
		return login{}, fmt.Errorf("saved login %s: %w", path, err)
	}
	return l, nil
}

// clientFlags are the flags of every command that is a client of the admin API.
type clientFlags struct {
	addr   string
	output string
}

func (f *clientFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.addr, "addr", "", "URL of the admin API (env S3MIRROR_ADDR, default "+defaultAddr+")")
	registerOutput(cmd, &f.output)
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

// client finds the server and who we are: what is said on the command line wins
// over the environment, the environment over the saved login. A saved login is
// given to no other address than its own.
func (f *clientFlags) client(env environ) (*admin.Client, error) {
	if err := checkOutput(f.output); err != nil {
		return nil, err
	}
	saved, err := savedLogin(env)
	if err != nil {
		return nil, err
	}
	c := &admin.Client{Token: env.get("S3MIRROR_TOKEN"), User: env.get("S3MIRROR_USER"), Password: env.get("S3MIRROR_PASSWORD")}
	for _, addr := range []string{f.addr, env.get("S3MIRROR_ADDR"), saved.Addr, defaultAddr} {
		if addr != "" {
			c.BaseURL = addr
			break
		}
	}
	if u, err := url.Parse(c.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usageError{fmt.Errorf("address %q: want a URL, as in %s", c.BaseURL, defaultAddr)}
	}
	if c.Token == "" && c.User == "" && c.BaseURL == saved.Addr {
		c.User, c.Password = saved.User, saved.Password
	}
	return c, nil
}

// explain adds what to do to an error of the admin API.
func explain(c *admin.Client, err error) error {
	var p *admin.Problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p) && p.Status == 401:
		return fmt.Errorf("%w: set S3MIRROR_USER and S3MIRROR_PASSWORD", err)
	case errors.As(err, &p):
		return err
	}
	return fmt.Errorf("admin API at %s: %w", c.BaseURL, err)
}

// writeDocument prints a document of the API as it is.
func writeDocument(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(document)
}
