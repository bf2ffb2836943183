package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newLogin is `s3mirror login [LOGIN]`.
func newLogin(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "login [LOGIN]",
		Short: "Log in to the admin API, and remember it for the other commands",
		Long: `Log in to the admin API, and remember it for the other commands.

The password is asked for on a terminal, and otherwise read from the first line
of the standard input or of --password-file; S3MIRROR_PASSWORD wins. What is
remembered are tokens, not the password, in the user's configuration folder,
readable by nobody else. They end a week after the last command, or a month
after the login.`,
		Args: atMost(1, "login takes one LOGIN at most"),
	}
	var flags clientFlags
	flags.register(cmd)
	password := passwordFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := flags.anonymous(env)
		if err != nil {
			return err
		}
		who := env.get("S3MIRROR_USER")
		if len(args) > 0 {
			who = args[0]
		}
		if who == "" {
			return usageError{errors.New("login: name the LOGIN, or set S3MIRROR_USER")}
		}
		secret := env.get("S3MIRROR_PASSWORD")
		if secret == "" {
			if secret, err = password.read(std, "Password of "+who); err != nil {
				return err
			}
		}
		asked := time.Now()
		tokens, err := admin.Do[api.Tokens](cmd.Context(), client, func(a *api.Client) (*http.Response, error) {
			return a.Login(cmd.Context(), api.Credentials{Login: who, Password: secret})
		})
		if err != nil {
			return explain(client, err)
		}
		saved := login{Addr: client.BaseURL, User: who}.with(tokens, asked)
		if err := saved.save(env); err != nil {
			return fmt.Errorf("keep the login: %w", err)
		}
		if flags.output == "json" {
			return writeDocument(std.out, struct {
				Login string `json:"login"`
				Addr  string `json:"addr"`
			}{who, client.BaseURL})
		}
		_, err = fmt.Fprintf(std.out, "logged in to %s as %s\n", client.BaseURL, who)
		return err
	}
	return cmd
}

// newLogout is `s3mirror logout`.
func newLogout(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "logout", Short: "End the session that login began", Args: noArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		saved, err := savedLogin(env)
		if err != nil {
			return err
		}
		if saved.Addr == "" {
			_, err := fmt.Fprintln(std.out, "not logged in")
			return err
		}
		saved.forget(env) // also when the server is gone: here it has ended
		if saved.RefreshToken == "" {
			_, err := fmt.Fprintln(std.out, "logged out")
			return err
		}
		client := &admin.Client{BaseURL: saved.Addr}
		_, err = admin.Do[struct{}](cmd.Context(), client, func(a *api.Client) (*http.Response, error) {
			return a.Logout(cmd.Context(), api.RefreshToken{RefreshToken: saved.RefreshToken})
		})
		if err != nil {
			return fmt.Errorf("logged out here, but the session goes on at the server until it expires: %w", explain(client, err))
		}
		_, err = fmt.Fprintln(std.out, "logged out")
		return err
	}
	return cmd
}

// login is what is saved for the commands that follow: the tokens of `s3mirror
// login`, or the password of a demo.
type login struct {
	Addr         string    `json:"addr"`
	User         string    `json:"user"`
	Password     string    `json:"password,omitempty"`
	AccessToken  string    `json:"access_token,omitempty"`
	RefreshToken string    `json:"refresh_token,omitempty"`
	Expires      time.Time `json:"expires,omitzero"` // of the access token
}

// with is the login with the tokens that were asked for at the time.
func (l login) with(t api.Tokens, asked time.Time) login {
	l.AccessToken, l.RefreshToken = t.AccessToken, t.RefreshToken
	l.Expires = asked.Add(time.Duration(t.ExpiresIn) * time.Second)
	return l
}

// refreshEarly is how long before its end an access token is not used any more.
const refreshEarly = 30 * time.Second

// token returns an access token that is good for a while. When the saved one is
// not, it is exchanged, under a lock: of two commands that run at once only one
// may use a refresh token, or the server takes one of them for a thief.
func (l login) token(ctx context.Context, env environ) (string, error) {
	if time.Until(l.Expires) > refreshEarly {
		return l.AccessToken, nil
	}
	path, err := loginPath(env)
	if err != nil {
		return "", err
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return "", fmt.Errorf("saved login: %w", err)
	}
	defer unlock()
	now, err := savedLogin(env)
	if err != nil {
		return "", err
	}
	if now.Addr != l.Addr || now.User != l.User || now.RefreshToken == "" {
		return "", errors.New("somebody logged out meanwhile: s3mirror login")
	}
	if time.Until(now.Expires) > refreshEarly {
		return now.AccessToken, nil
	}
	asked := time.Now()
	tokens, err := admin.Do[api.Tokens](ctx, &admin.Client{BaseURL: l.Addr}, func(a *api.Client) (*http.Response, error) {
		return a.Refresh(ctx, api.RefreshToken{RefreshToken: now.RefreshToken})
	})
	if err != nil {
		return "", err
	}
	if err := now.with(tokens, asked).save(env); err != nil {
		return "", fmt.Errorf("keep the login: %w", err)
	}
	return tokens.AccessToken, nil
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

// passwordSource is where a command finds a password that is not in the
// environment.
type passwordSource struct{ file string }

func passwordFlag(cmd *cobra.Command) *passwordSource {
	p := &passwordSource{}
	cmd.Flags().StringVar(&p.file, "password-file", "", "file whose first line is the password; - is the standard input")
	return p
}

// maxPasswordFile bounds what is read of a password file, in bytes.
const maxPasswordFile = 4 << 10

// read returns the password: from the file, a terminal, or the first line of the
// standard input.
func (p *passwordSource) read(std streams, prompt string) (string, error) {
	if p.file != "" && p.file != "-" {
		text, err := readBounded(p.file, maxPasswordFile)
		if err != nil {
			return "", usageError{fmt.Errorf("--password-file: %w", err)}
		}
		line, _, _ := strings.Cut(string(text), "\n")
		return strings.TrimSuffix(line, "\r"), nil
	}
	if f, ok := std.in.(*os.File); ok && p.file == "" && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(std.err, "%s: ", prompt)
		text, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(std.err)
		return string(text), err
	}
	line, err := firstLine(std.in)
	if err != nil {
		return "", usageError{errors.New("give the password on the standard input, in --password-file, or in S3MIRROR_PASSWORD")}
	}
	return line, nil
}

// firstLine reads up to the end of the line and nothing behind it: there may be
// another password.
func firstLine(r io.Reader) (string, error) {
	var line []byte
	for len(line) < maxPasswordFile {
		var b [1]byte
		n, err := r.Read(b[:])
		switch {
		case n > 0 && b[0] == '\n', n == 0 && errors.Is(err, io.EOF) && len(line) > 0:
			return strings.TrimSuffix(string(line), "\r"), nil
		case n > 0:
			line = append(line, b[0])
		case err != nil:
			return "", err
		}
	}
	return "", errors.New("line is too long")
}

// atMost allows so many arguments.
func atMost(n int, text string) cobra.PositionalArgs { return between(0, n, text) }

// exactly wants so many arguments.
func exactly(n int, text string) cobra.PositionalArgs { return between(n, n, text) }

func between(least, most int, text string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("%s: %s", cmd.CommandPath(), text)}
		}
		return nil
	}
}
