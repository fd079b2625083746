package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/forensic-custody/custody/cmd/house"
	"github.com/forensic-custody/custody/custody"
)

// checkpointed is a checkpoint as JSON.
type checkpointed struct {
	Size uint64         `json:"size"`
	Root custody.Digest `json:"root"`
}

func (a *app) rebuildCommand() *cobra.Command {
	var dir, checkpoint string
	c := &cobra.Command{
		Use: "rebuild --dir DIR", Short: "Make a lost database and log again from the bucket", Args: exactly(0),
		Long: `Makes the database and the log of a service again from what the bucket has
archived, when its folder is lost but for config.json, trust.json and keys/ (from
your backup). Every record is held against its leaf, and the log against the lock
file, if it is there, and against --checkpoint: a signed checkpoint that somebody
kept, such as an auditor. Without either of them nobody can tell whether the end
of the archive is missing.

Uploads that were not sealed begin again; of transfers that were under way, the
record will say that it is not known how far they came.`,
		Example: `  custody rebuild --dir ./service
  custody rebuild --dir ./service --checkpoint auditor/checkpoint`,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("give --dir")
			}
			var earlier []byte
			if checkpoint != "" {
				var err error
				if earlier, err = os.ReadFile(checkpoint); err != nil {
					return err
				}
			}
			made, err := house.Rebuild(c.Context(), dir, earlier, a.counting("made again"))
			if err != nil {
				return err
			}
			text := fmt.Sprintf("made again: %d records, %d of them erased\nlog: size %d, root %s\n", made.Records, made.Erased, made.Checkpoint.Size, made.Checkpoint.Root)
			if made.Stamps > 0 {
				text += fmt.Sprintf("%d time stamps, which it goes on from\n", made.Stamps)
			}
			for _, s := range made.SetAside {
				text += "set aside: " + s + "\n"
			}
			if made.Compared != nil {
				text += fmt.Sprintf("it goes on from the checkpoint of size %d that was signed before\n", *made.Compared)
			} else {
				text += "NOT COMPARED with an earlier checkpoint: whether the end of the archive is missing, nobody can tell\n"
			}
			return a.answer(struct {
				Records  uint64       `json:"records"`
				Erased   uint64       `json:"erased"`
				Log      checkpointed `json:"log"`
				Compared *uint64      `json:"compared"` // size of the earlier checkpoint
				Stamps   uint64       `json:"stamps"`   // restored
				SetAside []string     `json:"setAside"` // what lay among them and is none
			}{made.Records, made.Erased, checkpointed{made.Checkpoint.Size, made.Checkpoint.Root}, made.Compared, made.Stamps, append([]string{}, made.SetAside...)}, text)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the service's folder")
	c.Flags().StringVar(&checkpoint, "checkpoint", "", "file with an earlier signed checkpoint of the log")
	return c
}

func (a *app) fsckCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "fsck --dir DIR", Short: "Hold database, log and archive of a stopped service against each other", Args: exactly(0),
		Long: `Compares, record by record, what the database, the log and the archive in the
bucket of a service say that does not run, and names every disagreement. It
repairs nothing. Evidence is not read: the service reads it back by itself.`,
		Example: `  custody fsck --dir ./service`,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("give --dir")
			}
			found, err := house.Fsck(c.Context(), dir, a.counting("compared"))
			if err != nil {
				return err
			}
			err = a.answer(struct {
				Records       uint64         `json:"records"`
				Erased        uint64         `json:"erased"`
				Pending       uint64         `json:"pending"` // that wait for their receipts
				Log           checkpointed   `json:"log"`
				State         custody.Digest `json:"state"`  // as custody audit has it
				Stamps        uint64         `json:"stamps"` // by time-stamping authorities
				Disagreements []string       `json:"disagreements"`
			}{found.Records, found.Erased, found.Pending, checkpointed{found.Checkpoint.Size, found.Checkpoint.Root}, found.State, found.Stamps, append([]string{}, found.Disagreements...)},
				fsckText(found))
			if err == nil && len(found.Disagreements) > 0 {
				err = refusedf("%d disagreements", len(found.Disagreements))
			}
			return err
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the service's folder")
	return c
}

func fsckText(found *house.Fscked) string {
	if len(found.Disagreements) == 0 {
		pending := ""
		if found.Pending > 0 {
			pending = fmt.Sprintf("%d of them wait for their receipts, which the service writes when it starts; the state is without them\n", found.Pending)
		}
		return fmt.Sprintf("database, log and archive agree on %d records, %d of them erased; root %s\n%sstate %s\n",
			found.Records, found.Erased, found.Checkpoint.Root, pending, found.State)
	}
	return strings.Join(found.Disagreements, "\n") + "\n"
}

// counting tells a person how many records are done.
func (a *app) counting(what string) func(uint64) {
	return func(n uint64) { a.say("%s: %d records", what, n) }
}
