package progress

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/ecospa/ecospa/pkg/run"
	"github.com/ecospa/ecospa/pkg/train"
)

// pty is a terminal of so many columns; shown closes it and returns what was written to it.
func pty(t *testing.T, columns uint16) (tty *os.File, shown func() string) {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("NOT RUN: no pseudo-terminal here: %v", err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(ptmx.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	done := make(chan struct{})
	go func() { // until the terminal has gone
		defer close(done)
		all.ReadFrom(ptmx)
	}()
	return tty, func() string {
		tty.Close()
		<-done
		ptmx.Close()
		return all.String()
	}
}

// drawn are the states of a terminal's line: what stands between carriage returns.
func drawn(s string) (states []string) {
	for _, x := range strings.FieldsFunc(s, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if strings.TrimSpace(x) != "" {
			states = append(states, x)
		}
	}
	return states
}

// TestDrawnInOneLine: on terminals of 80 and of 40 columns nothing that is drawn wraps, a bar
// says the phase, the rate and what is left, and it is gone at the end. There is no colour.
func TestDrawnInOneLine(t *testing.T) {
	for _, columns := range []uint16{80, 40} {
		tty, shown := pty(t, columns)
		w := NewWork(tty)
		count := w.Count("evaluating", "tokens")
		count(0, 1e6)
		w.ago(20 * time.Second)
		time.Sleep(110 * time.Millisecond) // the display is not drawn more often
		count(400_000, 1e6)
		w.Say("a line in between")
		w.End()
		p := NewTraining(tty)
		p.Show(run.Began{Step: 0, Steps: 20000})
		p.begun = p.begun.Add(-time.Hour)
		time.Sleep(110 * time.Millisecond)
		p.Show(run.Stepped{Record: train.Record{Step: 10000, Loss: 3.1234, TokensPerS: 123456, MFU: 0.55}})
		p.Show(run.Ended{})
		text := shown()
		for _, state := range drawn(text) {
			if n := utf8.RuneCountInString(state); n > int(columns) {
				t.Errorf("%d columns on a terminal of %d: %q", n, columns, state)
			}
		}
		if strings.Contains(text, "\x1b[3") {
			t.Errorf("it has colours: %q", text)
		}
		if columns == 80 {
			for _, want := range []string{"evaluating, 19.9k tokens/s, 30s left  40%", "10000/20000  loss 3.123  123k tokens/s  MFU 55 %  1h00m00s left  50%", "a line in between\r\n"} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in %q", want, text)
				}
			}
		}
		if last := text[strings.LastIndex(text[:len(text)-1], "\r"):]; strings.TrimSpace(last) != "" {
			t.Errorf("at the end there stands %q", last)
		}
	}
}
