package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/forensic-custody/custody/api/client"
)

// The exit codes of every command.
const (
	exitDone        = 0
	exitRefused     = 1 // refused, or verification failed
	exitUsage       = 2
	exitUnreachable = 3 // could not be decided, or nobody answered
	exitInterrupted = 130
)

// app is what all commands share.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string

	json       bool
	home       string
	passphrase string // file that holds it
	lines      *bufio.Reader

	interrupted <-chan struct{} // closed when the program is to end; nil: never
}

// errInterrupted says that a question was not answered, since the program is to end.
var errInterrupted = errors.New("interrupted")

// untilInterrupted reads on behalf of a question until the program is to end: a terminal
// cannot be read with a limit.
func untilInterrupted[T any](a *app, read func() (T, error)) (T, error) {
	type answer struct {
		what T
		err  error
	}
	c := make(chan answer, 1)
	go func() {
		what, err := read()
		c <- answer{what, err}
	}()
	select {
	case got := <-c:
		return got.what, got.err
	case <-a.interrupted:
		_, _ = fmt.Fprintln(a.stderr)
		var none T
		return none, errInterrupted
	}
}

// usageError is a mistake in how a command was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// failure is an outcome that is no error of the program: it has been printed.
type failure struct{ code int }

func (failure) Error() string { return "" }

func (a *app) run(ctx context.Context, args []string) int {
	a.interrupted = ctx.Done()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	asked, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	code := exitCode(err)
	if text := strings.TrimSpace(err.Error()); text != "" {
		a.say("custody: %s", text)
		for _, hint := range spoken(root, text) {
			a.say("custody: %s", hint)
		}
	}
	if code == exitUsage {
		a.say("see: custody help%s", strings.TrimPrefix(asked.CommandPath(), "custody"))
	}
	return code
}

func exitCode(err error) int {
	problem, done := new(client.Error), failure{}
	switch {
	case errors.As(err, &done):
		return done.code
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, &problem):
		if problem.Status >= http.StatusInternalServerError || problem.Status == http.StatusTooManyRequests {
			return exitUnreachable
		}
		return exitRefused
	case errors.Is(err, client.ErrUnreachable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return exitUnreachable
	}
	return exitRefused
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "custody",
		Short: "Keep evidence, and prove who touched it",
		Long: `Custody keeps an incident's evidence and can prove to a stranger who touched
what, when and why, and that nobody else did.

Exit codes: 0 done; 1 refused, or verification failed; 2 wrong usage;
3 could not be decided, or the service did not answer; 130 interrupted at a question.`,
		Example: `  custody init --dir ./service --origin custody.example/team
  custody serve --dir ./service
  custody evidence add disk.img --incident i-… --exhibit EX-1 --type disk …
  custody evidence get e-… -o disk.img --purpose "timeline of the intrusion"
  custody bundle verify EX-1.bundle --trust trust.json`,
		SilenceErrors: true, SilenceUsage: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return noSuch(c, args[0], fmt.Sprintf("no such command: custody %q", args[0]))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		// A flag that a noun does not know mostly comes of a verb that it does not have.
		if args := c.Flags().Args(); c.HasSubCommands() && len(args) > 0 {
			if wrong := c.ValidateArgs(args); wrong != nil {
				return wrong
			}
		}
		return usageError{err}
	})
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print one JSON value instead of text (custody help json)")
	f.StringVar(&a.home, "home", "", "folder of your own key and trust file (default $CUSTODY_HOME, or custody in your configuration folder)")
	f.StringVar(&a.passphrase, "passphrase-file", "", "file with your key's passphrase (default $CUSTODY_PASSPHRASE_FILE, or asked for)")
	root.AddCommand(
		a.initCommand(), a.serveCommand(), a.witnessCommand(), a.rewrapCommand(), a.rekeyCommand(), a.rebuildCommand(), a.fsckCommand(), a.auditCommand(),
		a.keyCommand(), a.loginCommand(), a.logoutCommand(), a.whoamiCommand(), a.tokenCommand(), a.principalCommand(), a.roleCommand(),
		a.incidentCommand(), a.findingCommand(), a.processCommand(), a.intelligenceCommand(), a.mitigationCommand(), a.emergencyCommand(), a.postmortemCommand(), a.repairCommand(), a.vulnerabilityCommand(), a.teamCommand(), a.evidenceCommand(), a.recordCommand(), a.collectCommand(), a.inspectCommand(), a.logCommand(), a.trustCommand(), a.bundleCommand(), a.reportCommand(),
		jsonTopic(),
	)
	return root
}

// group makes a noun that only holds verbs.
func group(use, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return noSuch(c, args[0], fmt.Sprintf("custody %s has no verb %q", use, args[0]))
		}
		return nil
	}, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(verbs...)
	return c
}

// noSuch says that there is no such command, and where somebody gave an act's name, as
// reasons and histories call it, by which command that act is said.
func noSuch(c *cobra.Command, name, text string) error {
	for _, hint := range spoken(c.Root(), "("+name+")") {
		text += "; " + hint
	}
	return usagef("%s", text)
}

// exactly is cobra's ExactArgs, as a usage error that shows what is wanted.
func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%d arguments instead of %d: %s", len(args), n, c.UseLine())
		}
		return nil
	}
}

// atLeast is exactly's sister for commands that take several.
func atLeast(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usagef("%d arguments instead of %d or more: %s", len(args), n, c.UseLine())
		}
		return nil
	}
}

// atMost is exactly's other sister, for commands that take one or none.
func atMost(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return usagef("%d arguments instead of %d or fewer: %s", len(args), n, c.UseLine())
		}
		return nil
	}
}

// say prints a line for people on stderr.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintln(a.stderr, clean(fmt.Sprintf(format, args...)))
}

// answer prints the outcome of a command: v with --json, and otherwise text.
func (a *app) answer(v any, text string) error {
	if a.json {
		b, err := json.Marshal(v, jsontext.WithIndent("  "))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.stdout, string(b))
		return err
	}
	_, err := io.WriteString(a.stdout, clean(text))
	return err
}

// clean makes control characters visible, so that nothing that somebody wrote
// into a record steers a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// terminal says whether somebody sits at stdin.
func (a *app) terminal() bool { return isTerminal(a.stdin) }

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask asks for one line on the terminal.
func (a *app) ask(question string) (string, error) {
	if a.lines == nil {
		a.lines = bufio.NewReader(a.stdin)
	}
	_, _ = fmt.Fprintf(a.stderr, "%s: ", question)
	line, err := untilInterrupted(a, func() (string, error) { return a.lines.ReadString('\n') })
	if err != nil {
		return "", fmt.Errorf("no answer to %q: %w", question, err)
	}
	return strings.TrimSpace(line), nil
}

// secret asks for a passphrase, or reads it from the file that was named.
func (a *app) secret(prompt string, twice bool) ([]byte, error) {
	path := a.passphrase
	if path == "" {
		path = a.getenv("CUSTODY_PASSPHRASE_FILE")
	}
	if path != "" {
		b, err := os.ReadFile(path)
		return []byte(strings.TrimRight(string(b), "\r\n")), err
	}
	f, ok := a.stdin.(*os.File)
	if !ok || !a.terminal() {
		return nil, usagef("no terminal to ask for the passphrase at: give --passphrase-file")
	}
	read := func(prompt string) (string, error) {
		_, _ = fmt.Fprint(a.stderr, prompt+": ")
		before, err := term.GetState(int(f.Fd()))
		if err != nil {
			return "", err
		}
		b, err := untilInterrupted(a, func() ([]byte, error) { return term.ReadPassword(int(f.Fd())) })
		if errors.Is(err, errInterrupted) {
			return "", errors.Join(err, term.Restore(int(f.Fd()), before)) // or nothing that is typed would be seen
		}
		_, _ = fmt.Fprintln(a.stderr)
		return string(b), err
	}
	first, err := read(prompt)
	if err != nil || !twice {
		return []byte(first), err
	}
	if again, err := read("again"); err != nil || again != first {
		return nil, errors.Join(errors.New("the two passphrases differ"), err)
	}
	return []byte(first), nil
}
