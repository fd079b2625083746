package house

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/forensic-custody/custody/custody"
	"github.com/forensic-custody/custody/custody/guard"
	"github.com/forensic-custody/custody/ledger/witness"
	"github.com/forensic-custody/custody/storage/sql"
)

// askWitnesses makes the client that asks the witnesses of the policy in force. It must
// be closed after the log, and before what the log reads.
func (h *House) askWitnesses(ctx context.Context, rows *sql.Store, k *keys) error {
	p, err := guard.Witnesses(ctx, h.guardConfig(rows, k))
	if err != nil {
		return err
	}
	h.witnesses = witness.NewClient(h.logKeys, h.now, h.logger, h.Config.SpareWitnesses...)
	h.closing(h.witnesses.Close)
	h.witnesses.Adopt(p)
	return nil
}

// Witnessed says who cosigned the log's latest checkpoint, and what that comes to by
// the witness policy in force.
func (h *House) Witnessed(ctx context.Context) (*custody.Cosigned, error) {
	return h.guard.Witnessed(ctx)
}

// witnessMetrics are what is known of the witnesses, as Prometheus asks for it.
type witnessMetrics struct {
	h            *House
	quorum, size *prometheus.Desc
	failing      *prometheus.Desc
}

func newWitnessMetrics(h *House) *witnessMetrics {
	return &witnessMetrics{
		h: h,
		quorum: prometheus.NewDesc("custody_witness_quorum",
			"1 when the latest checkpoint is cosigned as the witness policy in force asks, 0 when it is not and nothing is handed out, -1 when it asks for nobody.", nil, nil),
		size:    prometheus.NewDesc("custody_witness_size", "Size of the log that the witness cosigned last in this run.", []string{"witness"}, nil),
		failing: prometheus.NewDesc("custody_witness_failing", "1 when the last request to the witness failed, or it is not asked.", []string{"witness"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *witnessMetrics) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, to) }

// Collect implements prometheus.Collector.
func (m *witnessMetrics) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	state := map[custody.Quorum]float64{custody.QuorumMet: 1, custody.NoWitness: -1, custody.NoQuorum: -1}
	if is, err := m.h.Witnessed(context.Background()); err == nil {
		gauge(m.quorum, state[is.Quorum])
	} else {
		gauge(m.quorum, 0)
	}
	for _, s := range m.h.witnesses.States() {
		failing := 0.0
		if s.Err != nil {
			failing = 1
		}
		gauge(m.size, float64(s.Size), s.Name)
		gauge(m.failing, failing, s.Name)
	}
}
