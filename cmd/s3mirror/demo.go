package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
	"github.com/s3mirror/s3mirror/internal/auth"
	"github.com/s3mirror/s3mirror/internal/memory"
)

// demoNames are the endpoints of the demo, as many as are asked for.
var demoNames = []string{"eu-1", "eu-2", "ru-1", "us-1", "us-2", "ap-1", "ap-2"}

// demoFinish bounds each step of the demo's end, which as a whole takes less
// than five seconds.
const demoFinish = time.Second

// demoFlags are the flags of `s3mirror demo`.
type demoFlags struct {
	dir, s3Listen, adminListen, output string
	backends                           int
	load                               bool
	logging                            *logging
}

func newDemo(std streams, env environ) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try it: S3 endpoints, gateway and admin API in one process",
		Long: `Try it: S3 endpoints, gateway and admin API in one process.

The endpoints live in memory and are gone at the end. The console, at the address
that is printed, has a page with a switch for each of them, on, slow and off, a
button that puts load on the node, and a running account of what becomes of it all.
In another terminal, "s3mirror demo off eu-2" and "s3mirror demo on eu-2" switch
one off and on, and "s3mirror status" shows what becomes of it.`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&f.dir, "dir", "", "folder in which the log of this run stands, made if it is missing; the log is removed at the end (default: the system's for temporary files)")
	cmd.Flags().IntVar(&f.backends, "backends", 3, fmt.Sprintf("number of endpoints, 1 to %d", len(demoNames)))
	cmd.Flags().StringVar(&f.s3Listen, "s3-listen", "127.0.0.1:9000", "address of the S3 API")
	cmd.Flags().StringVar(&f.adminListen, "admin-listen", "127.0.0.1:9001", "address of the admin API")
	cmd.Flags().BoolVar(&f.load, "load", false, "write, read and delete objects from the start, as the console's button does")
	registerOutput(cmd, &f.output)
	f.logging = loggingFlags(cmd)
	cmd.Flag("log-level").DefValue = "warn"
	f.logging.level = "warn"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return runDemo(cmd.Context(), f, std, env, openEngine)
	}
	cmd.AddCommand(newDemoSwitch(std, env, "off"), newDemoSwitch(std, env, "on"), newDemoCorrupt(std, env))
	return cmd
}

// newDemoSwitch is `s3mirror demo off NAME` and `s3mirror demo on NAME`.
func newDemoSwitch(std streams, env environ, to string) *cobra.Command {
	cmd := &cobra.Command{Use: to + " NAME", Short: "Switch an endpoint of the running demo " + to}
	return onEndpoint(cmd, std, env, func(ctx context.Context, c *admin.Client, name string) (document any, words string, err error) {
		state, err := c.Switch(ctx, name, to == "on")
		if err != nil {
			return nil, "", fmt.Errorf("switch %s %s: %w", name, to, err)
		}
		return state, state.Name + " is " + to, nil
	})
}

// newDemoCorrupt is `s3mirror demo corrupt NAME`.
func newDemoCorrupt(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "corrupt NAME",
		Short: "Change a byte of the newest object on an endpoint of the running demo",
		Long: `Changes a byte of the newest object that an endpoint of the demo holds. The endpoint goes
on saying that nothing has changed, as a disk does that fails silently.
"s3mirror scrub --deep" reads every copy, finds it and mends it.`,
	}
	return onEndpoint(cmd, std, env, func(ctx context.Context, c *admin.Client, name string) (document any, words string, err error) {
		state, err := c.Corrupt(ctx, name)
		if err == nil && len(state.Corrupted) == 0 {
			err = errors.New("the demo does not say what it corrupted")
		}
		if err != nil {
			return nil, "", fmt.Errorf("corrupt an object on %s: %w", name, err)
		}
		rot := state.Corrupted[0]
		return state, fmt.Sprintf("%s/%s on %s is not what was written any more; s3mirror scrub --deep finds and mends it", rot.Bucket, rot.Key, rot.Backend), nil
	})
}

// onEndpoint makes a command that does something to one endpoint of the running demo, and
// prints the document that comes back, or says it in words.
func onEndpoint(cmd *cobra.Command, std streams, env environ, do func(ctx context.Context, c *admin.Client, name string) (document any, words string, err error)) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("%s: name one endpoint, as in %s eu-2", cmd.CommandPath(), cmd.CommandPath())}
		}
		return nil
	}
	cmd.ValidArgsFunction = completeNames(env, backendNames)
	var flags clientFlags
	flags.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := flags.client(env)
		if err != nil {
			return err
		}
		document, words, err := do(cmd.Context(), client, args[0])
		if err != nil {
			return explain(client, err)
		}
		if flags.output == "json" {
			return writeDocument(std.out, document)
		}
		_, err = fmt.Fprintln(std.out, words)
		return err
	}
	return cmd
}

// runDemo runs endpoints and a node over them until ctx ends.
func runDemo(ctx context.Context, f demoFlags, std streams, env environ, build func(context.Context, parts) (*engine, error)) (err error) {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	if f.backends < 1 || f.backends > len(demoNames) {
		return usageError{fmt.Errorf("--backends %d: want 1 to %d", f.backends, len(demoNames))}
	}
	logger, flush, err := f.logging.open(std.err)
	if err != nil {
		return err
	}
	defer flush()
	if f.dir != "" {
		if err := os.MkdirAll(f.dir, 0o700); err != nil {
			return fmt.Errorf("--dir: %w", err)
		}
	}
	// A log without its endpoints is worth nothing: both end with the demo.
	dir, err := os.MkdirTemp(f.dir, "s3mirror-demo-")
	if err != nil {
		return fmt.Errorf("--dir: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	ends, err := startEndpoints(ctx, demoNames[:f.backends])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ends.stop()) }()

	keys, password := newRootKeys(), randomText(18)
	cfg := demoConfig(f, dir, ends)
	validate(cfg, func(path, format string, args ...any) {
		err = errors.Join(err, usageError{fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))})
	})
	if err != nil {
		return err
	}
	ends.load = newDemoLoad(keys)
	ends.load.turn(f.load)
	ctx, stopLoad := context.WithCancel(ctx)
	var loading sync.WaitGroup
	defer func() {
		stopLoad()
		loading.Wait()
	}()
	var saved login
	defer func() { saved.forget(env) }()
	return serve(ctx, cfg, serveOptions{
		env: demoEnviron(keys, password), logger: logger, demo: ends, finish: demoFinish, build: build,
		say: func(string, string) {}, // the demo prints all of it itself
		started: func(a addresses) {
			loading.Go(func() { ends.load.run(ctx, a.S3) })
			saved = login{Addr: a.Admin, User: auth.RootLogin, Password: password}
			if err := saved.save(env); err != nil {
				logger.Warn("login was not saved: other commands need S3MIRROR_ADDR, S3MIRROR_USER and S3MIRROR_PASSWORD", "error", err)
			}
			printDemo(std.out, f.output, demoCard{
				Endpoint: a.S3, AccessKey: keys.AccessKeyID, SecretKey: string(keys.SecretAccessKey),
				UI: a.Admin, User: auth.RootLogin, Password: password, Backends: demoNames[:f.backends],
			})
		},
	})
}

// demoConfig is the configuration of the demo's node. Its times are short, so
// that what takes minutes elsewhere can be watched.
func demoConfig(f demoFlags, dir string, ends *endpoints) *Config {
	cfg := defaultConfig()
	cfg.DataDir = dir
	cfg.S3.Listen, cfg.Admin.Listen = f.s3Listen, f.adminListen
	cfg.Log.Retention = Duration(time.Minute)
	cfg.Replication.Settle = Duration(5 * time.Second)
	cfg.Heal.Interval = Duration(time.Second)
	for i, name := range ends.names {
		cfg.Backends = append(cfg.Backends, BackendConfig{
			Name: name, Endpoint: "http://" + ends.listeners[i].Addr().String(),
			AccessKeyID: ends.keys.AccessKeyID, SecretAccessKey: ends.keys.SecretAccessKey,
		})
	}
	cfg.setDefaults()
	return &cfg
}

// demoEnviron gives the node the secrets that the demo will show.
func demoEnviron(keys rootKeys, password string) environ {
	return func(name string) (string, bool) {
		value, ok := map[string]string{
			"S3MIRROR_ROOT_ACCESS_KEY": keys.AccessKeyID,
			"S3MIRROR_ROOT_SECRET_KEY": string(keys.SecretAccessKey),
			"S3MIRROR_ROOT_PASSWORD":   password,
		}[name]
		return value, ok
	}
}

// endpoints are the S3 servers of the demo. It implements admin.Demo.
type endpoints struct {
	names     []string
	keys      rootKeys // of all of them
	servers   map[string]*memory.Server
	listeners []net.Listener
	load      *demoLoad
	rot       demoRots
	stop      func() error // ends all and waits
}

// startEndpoints serves an empty S3 server for each name on a free port of the
// loopback.
func startEndpoints(ctx context.Context, names []string) (*endpoints, error) {
	e := &endpoints{names: names, keys: newRootKeys(), servers: map[string]*memory.Server{}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // they outlive the node
	var group errgroup.Group
	e.stop = func() error {
		cancel()
		return group.Wait()
	}
	for _, name := range names {
		l, err := listen(ctx, "endpoint "+name, "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, e.stop())
		}
		server := memory.New(memory.Options{AccessKeyID: e.keys.AccessKeyID, SecretAccessKey: e.keys.SecretAccessKey})
		e.listeners = append(e.listeners, l)
		e.servers[name] = server
		group.Go(func() error { return server.Serve(ctx, l) })
	}
	return e, nil
}

// Switch implements admin.Demo: off is a power cut, on is the power's return.
func (e *endpoints) Switch(name string, on bool) error {
	server, ok := e.servers[name]
	switch {
	case !ok:
		return admin.ErrUnknownBackend
	case on:
		server.SetFaults(memory.Faults{})
		return server.On()
	}
	server.SetFaults(memory.Faults{})
	server.Off()
	return nil
}

// slowness is how long a slow endpoint lets each request wait.
const slowness = 700 * time.Millisecond

// Slow implements admin.Demo.
func (e *endpoints) Slow(name string) error {
	server, ok := e.servers[name]
	if !ok {
		return admin.ErrUnknownBackend
	}
	server.SetFaults(memory.Faults{Delay: slowness})
	return server.On()
}

// demoRots are the copies that were corrupted, the last first.
type demoRots struct {
	mu   sync.Mutex // guards list
	list []api.DemoRot
}

// demoRotsShown is how many of them are remembered.
const demoRotsShown = 10

// Corrupt implements admin.Demo.
func (e *endpoints) Corrupt(name string) error {
	server, ok := e.servers[name]
	if !ok {
		return admin.ErrUnknownBackend
	}
	bucket, key, err := server.RotNewest()
	if err != nil {
		return admin.ErrNothingThere
	}
	e.rot.mu.Lock()
	defer e.rot.mu.Unlock()
	e.rot.list = append([]api.DemoRot{{Backend: name, Bucket: bucket, Key: key}}, e.rot.list...)
	e.rot.list = e.rot.list[:min(len(e.rot.list), demoRotsShown)]
	return nil
}

// corrupted tells which of them are still so.
func (e *endpoints) corrupted() []api.DemoRot {
	e.rot.mu.Lock()
	defer e.rot.mu.Unlock()
	list := append([]api.DemoRot{}, e.rot.list...)
	for i, r := range list {
		list[i].Mended = !e.servers[r.Backend].Rotten(r.Bucket, r.Key)
	}
	return list
}

// Load implements admin.Demo.
func (e *endpoints) Load(on bool) { e.load.turn(on) }

// State implements admin.Demo.
func (e *endpoints) State() admin.DemoState {
	state := admin.DemoState{Load: e.load.on.Load(), Acknowledged: e.load.acknowledged.Load(), Failed: e.load.failed.Load(), Corrupted: e.corrupted()}
	for _, name := range e.names {
		is := api.DemoIsOn
		switch server := e.servers[name]; {
		case !server.Running():
			is = api.DemoIsOff
		case server.Faults().Delay > 0:
			is = api.DemoIsSlow
		}
		state.Backends = append(state.Backends, api.DemoBackend{Name: name, State: is})
	}
	return state
}

// demoCard is what the demo shows of itself.
type demoCard struct {
	Endpoint  string   `json:"endpoint"`
	AccessKey string   `json:"access_key"`
	SecretKey string   `json:"secret_key"`
	UI        string   `json:"ui"`
	User      string   `json:"user"`
	Password  string   `json:"password"`
	Backends  []string `json:"backends"`
}

// printDemo writes the card: a line for each value, then three commands to
// paste; or one line of JSON.
func printDemo(w io.Writer, output string, c demoCard) {
	if output == "json" {
		line, err := json.Marshal(c)
		if err != nil {
			panic(err) // strings only
		}
		fmt.Fprintf(w, "%s\n", line)
		return
	}
	curl := fmt.Sprintf("curl --aws-sigv4 aws:amz:us-east-1:s3 --user %s:%s -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD'", c.AccessKey, c.SecretKey)
	fmt.Fprintf(w, `endpoint: %s
access key: %s
secret key: %s
ui: %s
user: %s
password: %s

Make a bucket, write an object, read it back:

  %s -X PUT %s/photos
  %s -X PUT --data-binary 'hello' -H 'content-type: text/plain' %s/photos/hello.txt
  %s %s/photos/hello.txt

The console at %s has switches for the endpoints and a button for load.
In another terminal: s3mirror demo off %s, write again, s3mirror status, then
s3mirror demo on %s, and s3mirror status --wait-converged 60s. Ctrl-C ends it.
`, c.Endpoint, c.AccessKey, c.SecretKey, c.UI, c.User, c.Password,
		curl, c.Endpoint, curl, c.Endpoint, curl, c.Endpoint, c.UI, c.Backends[len(c.Backends)/2], c.Backends[len(c.Backends)/2])
}
