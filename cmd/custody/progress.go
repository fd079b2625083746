package main

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows on stderr how far a transfer is: a bar on a terminal, a line
// now and then elsewhere.
type progress struct {
	app   *app
	what  string
	total uint64 // 0 when it is not known
	begun time.Time
	moved atomic.Uint64 // bytes that are settled
	saved atomic.Uint64 // of them, those that did not have to be sent
	pool  *mpb.Progress
	bar   *mpb.Bar
	stop  chan struct{}
}

// lineEvery is how often a line is printed where there is no terminal.
const lineEvery = 10 * time.Second

func (a *app) progress(what string, total uint64, known bool) *progress {
	p := &progress{app: a, what: clean(what), begun: time.Now(), stop: make(chan struct{})}
	if known {
		p.total = total
	}
	if !isTerminal(a.stderr) {
		go p.lines()
		return p
	}
	p.pool = mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(40))
	p.bar = p.pool.AddBar(int64(p.total),
		mpb.PrependDecorators(decor.Name(p.what+" ")),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.Name("  "),
			decor.AverageSpeed(decor.SizeB1024(0), "% .1f"), decor.Name("  "), decor.AverageETA(decor.ET_STYLE_GO),
			decor.Any(func(decor.Statistics) string { return p.savings() })))
	return p
}

// settled notes bytes that came through, sent or not.
func (p *progress) settled(n int, sent bool) {
	if !sent {
		p.saved.Add(uint64(n))
	}
	p.add(n)
}

// savings says how much did not have to be sent.
func (p *progress) savings() string {
	saved := p.saved.Load()
	if saved == 0 {
		return ""
	}
	return fmt.Sprintf("  %d MiB saved", saved>>20)
}

func (p *progress) add(n int) {
	p.moved.Add(uint64(n))
	if p.bar != nil {
		p.bar.IncrBy(n)
	}
}

func (p *progress) lines() {
	tick := time.NewTicker(lineEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			moved := p.moved.Load()
			took := time.Since(p.begun)
			rate := float64(moved) / took.Seconds()
			left := "unknown"
			if p.total > moved && rate > 0 {
				left = time.Duration(float64(p.total-moved) / rate * float64(time.Second)).Round(time.Second).String()
			}
			p.app.say("%s: %d of %d bytes, %.1f MB/s, time left %s%s", p.what, moved, p.total, rate/1e6, left, p.savings())
		}
	}
}

func (p *progress) done() {
	close(p.stop)
	if p.bar != nil {
		p.bar.EnableTriggerComplete()
		p.bar.Abort(false)
		p.pool.Wait()
	}
}
