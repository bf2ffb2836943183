package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3mirror/s3mirror/internal/admin"
	"github.com/s3mirror/s3mirror/internal/admin/api"
)

// newUser is `s3mirror user`.
func newUser(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Users: who may do what",
		Args:  noArgs,
		RunE:  needsCommand,
	}
	cmd.AddCommand(
		newUserList(std, env), newUserShow(std, env), newUserCreate(std, env), newUserUpdate(std, env),
		newUserPassword(std, env), newUserUnlock(std, env), newUserDelete(std, env),
	)
	return cmd
}

// needsCommand is a command that only holds others.
func needsCommand(cmd *cobra.Command, _ []string) error {
	_ = cmd.Usage()
	return usageError{fmt.Errorf("%s: name a command", cmd.CommandPath())}
}

const nameOneUser = "name one LOGIN"

func newUserList(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List all users", Args: noArgs}
	return clientCommand(cmd, std, env, func(c call, _ []string) error {
		users, err := allUsers(c.ctx, c.client)
		if err != nil || c.output == "json" {
			return c.document(api.UserPage{Users: users}, err)
		}
		var rows [][]any
		for _, u := range users {
			rows = append(rows, []any{u.Login, string(u.Role), c.activity(u), scopes(u.Scopes), u.Keys, limits(u)})
		}
		c.table([]any{"Login", "Role", "State", "Scopes", "Keys", "Limits"}, rows)
		return c.err
	})
}

// allUsers gets every page.
func allUsers(ctx context.Context, c *admin.Client) ([]api.User, error) {
	users := []api.User{}
	limit := pageLimit
	params := &api.ListUsersParams{Limit: &limit}
	for {
		page, err := admin.Do[api.UserPage](ctx, c, func(a *api.Client) (*http.Response, error) { return a.ListUsers(ctx, params) })
		if err != nil {
			return nil, err
		}
		if users = append(users, page.Users...); page.Cursor == "" {
			return users, nil
		}
		params.Cursor = &page.Cursor
	}
}

func newUserShow(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{Use: "show [LOGIN]", Short: "Show a user, or yourself", Args: atMost(1, nameOneUser)}
	cmd.ValidArgsFunction = completeNames(env, userNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		who, err := c.whom(args)
		if err != nil {
			return err
		}
		u, err := admin.Do[api.User](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.GetUser(c.ctx, who) })
		return c.user(u, err)
	})
}

// user prints one user.
func (c call) user(u api.User, err error) error {
	if err != nil || c.output == "json" {
		return c.document(u, err)
	}
	rows := [][]any{
		{"login", u.Login}, {"role", string(u.Role)}, {"state", c.activity(u)}, {"scopes", scopes(u.Scopes)},
		{"from", list(u.AllowedIps, "anywhere")}, {"extensions", list(u.AllowedExtensions, "any")}, {"buckets", list(u.AllowedBuckets, "all")},
		{"keys", u.Keys}, {"password", map[bool]string{true: "yes", false: "none"}[u.HasPassword]},
	}
	for _, r := range rows {
		c.line("%-11s %v", r[0], r[1])
	}
	return c.err
}

func (c call) activity(u api.User) string {
	switch {
	case !u.Active:
		return c.bad("inactive")
	case u.LockedUntil != nil && u.LockedUntil.After(c.now):
		return c.warn("locked out")
	}
	return c.good("active")
}

func scopes(s []api.Scope) string {
	var words []string
	for _, scope := range s {
		words = append(words, string(scope))
	}
	return list(words, "none")
}

// list joins words, or says what an empty list means.
func list(words []string, empty string) string {
	if len(words) == 0 {
		return empty
	}
	return strings.Join(words, ", ")
}

// limits sums up what a user is limited by.
func limits(u api.User) string {
	var words []string
	for _, l := range []struct {
		name string
		list []string
	}{{"from", u.AllowedIps}, {"extensions", u.AllowedExtensions}, {"buckets", u.AllowedBuckets}} {
		if len(l.list) > 0 {
			words = append(words, l.name+" "+strings.Join(l.list, " "))
		}
	}
	return strings.Join(words, "; ")
}

// userFlags are the limits of a user on the command line.
type userFlags struct {
	role                    string
	scopes                  []string
	ips, extensions, places []string
	active                  bool
	cmd                     *cobra.Command
}

func (f *userFlags) register(cmd *cobra.Command) {
	f.cmd = cmd
	flags := cmd.Flags()
	flags.StringVar(&f.role, "role", "user", "admin or user")
	flags.StringSliceVar(&f.scopes, "scopes", []string{"read", "write"}, `what the user may do on S3: read, write; "" is nothing`)
	flags.StringSliceVar(&f.ips, "allow-ip", nil, `networks and addresses that the user may come from; "" is anywhere`)
	flags.StringSliceVar(&f.extensions, "allow-extension", nil, `extensions of the names that the user may write; "" is any`)
	flags.StringSliceVar(&f.places, "allow-bucket", nil, `buckets, and parts of buckets as in photos/2026/; "" is all`)
	flags.BoolVar(&f.active, "active", true, "false shuts the user out")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"admin", "user"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("scopes", cobra.FixedCompletions([]string{"read", "write", "read,write"}, cobra.ShellCompDirectiveNoFileComp))
}

// change is what was said on the command line; the rest stays as it is.
func (f *userFlags) change() api.UserChange {
	var c api.UserChange
	given := f.cmd.Flags().Changed
	if given("role") {
		role := api.Role(f.role)
		c.Role = &role
	}
	if given("scopes") {
		c.Scopes = &[]api.Scope{}
		for _, s := range words(f.scopes) {
			*c.Scopes = append(*c.Scopes, api.Scope(s))
		}
	}
	for flag, to := range map[string]struct {
		from []string
		to   **[]string
	}{
		"allow-ip": {f.ips, &c.AllowedIps}, "allow-extension": {f.extensions, &c.AllowedExtensions}, "allow-bucket": {f.places, &c.AllowedBuckets},
	} {
		if given(flag) {
			list := words(to.from)
			*to.to = &list
		}
	}
	if given("active") {
		c.Active = &f.active
	}
	return c
}

// words leaves out what is empty: --allow-ip "" is an empty list.
func words(list []string) []string {
	out := []string{}
	for _, w := range list {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

func newUserCreate(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create LOGIN",
		Short: "Make a user",
		Long: `Make a user.

With --password the password is asked for on a terminal, and otherwise read from
the standard input or --password-file. A user without a password has S3 keys only:
see s3mirror key create.`,
		Args: exactly(1, nameOneUser),
	}
	var f userFlags
	f.register(cmd)
	password := passwordFlag(cmd)
	ask := cmd.Flags().Bool("password", false, "give the user a password")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		change := f.change()
		user := api.NewUser{Login: args[0], Role: api.Role(f.role), Scopes: change.Scopes, Active: change.Active}
		user.AllowedIps, user.AllowedExtensions, user.AllowedBuckets = words(f.ips), words(f.extensions), words(f.places)
		if *ask || password.file != "" {
			var err error
			if user.Password, err = password.read(std, "Password of "+args[0]); err != nil {
				return err
			}
		}
		u, err := admin.Do[api.User](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.CreateUser(c.ctx, user) })
		return c.user(u, err)
	})
}

func newUserUpdate(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "update LOGIN",
		Short: "Change a user: only what is said changes",
		Args:  exactly(1, nameOneUser),
	}
	cmd.ValidArgsFunction = completeNames(env, userNames)
	var f userFlags
	f.register(cmd)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		change := f.change()
		if change == (api.UserChange{}) {
			return usageError{fmt.Errorf("%s: say what is to change, as in --allow-bucket photos", cmd.CommandPath())}
		}
		u, err := c.update(args[0], change)
		return c.user(u, err)
	})
}

func (c call) update(login string, change api.UserChange) (api.User, error) {
	return admin.Do[api.User](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.UpdateUser(c.ctx, login, change) })
}

func newUserPassword(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "password [LOGIN]",
		Short: "Set a password, yours or another's, which ends all sessions of the user",
		Args:  atMost(1, nameOneUser),
	}
	cmd.ValidArgsFunction = completeNames(env, userNames)
	password := passwordFlag(cmd)
	current := cmd.Flags().String("current-password-file", "", "file whose first line is your present password: needed for your own")
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		me, err := c.whom(nil)
		if err != nil {
			return err
		}
		who := me
		if len(args) > 0 {
			who = args[0]
		}
		var change api.UserChange
		if who == me {
			text, err := (&passwordSource{*current}).read(std, "Your present password")
			if err != nil {
				return err
			}
			change.CurrentPassword = &text
		}
		text, err := password.read(std, "New password of "+who)
		if err != nil {
			return err
		}
		change.Password = &text
		u, err := c.update(who, change)
		return c.user(u, err)
	})
}

func newUserUnlock(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "unlock LOGIN",
		Short: "Let a user who was locked out for wrong passwords try again, on the node that is asked",
		Args:  exactly(1, nameOneUser),
	}
	cmd.ValidArgsFunction = completeNames(env, userNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		_, err := admin.Do[struct{}](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.UnlockUser(c.ctx, args[0]) })
		return c.done(err, "%s is not locked out", args[0])
	})
}

func newUserDelete(std streams, env environ) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete LOGIN",
		Short: "Remove a user, with keys and sessions",
		Args:  exactly(1, nameOneUser),
	}
	cmd.ValidArgsFunction = completeNames(env, userNames)
	return clientCommand(cmd, std, env, func(c call, args []string) error {
		_, err := admin.Do[struct{}](c.ctx, c.client, func(a *api.Client) (*http.Response, error) { return a.DeleteUser(c.ctx, args[0]) })
		return c.done(err, "%s is deleted", args[0])
	})
}
