package main

import (
	"flag"
	"fmt"
	"io"
	"time"
)

// eventPlan is what an event takes: what is measured, and what can only be
// assumed.
type eventPlan struct {
	cpu         time.Duration // measured by bench events, without TLS
	reads       float64       // counted by bench firestore, for a customer's first event in a minute; 0 for others
	gatewayTime time.Duration // assumed
	published   float64       // bytes of a message with its attributes
	logged      float64       // bytes of the success line as it is stored, assumed
	requestLog  float64       // bytes that Cloud Run logs of a request, assumed
	sent        float64       // bytes to the gateway, with all headers; assumed
	inFlight    float64       // events that an instance has in flight, while it has any

	vcpu, memory float64 // of an instance; memory in GiB
}

// million is the number of events that the bill is for.
const million = 1e6

// bind declares the flags of an event's cost.
func (p *eventPlan) bind(flags *flag.FlagSet) {
	flags.DurationVar(&p.cpu, "event-cpu", 100*time.Microsecond, "CPU `time` of an event: bench events measures it")
	flags.Float64Var(&p.reads, "event-reads", 1, "`reads` of an event: bench firestore counts them")
	flags.DurationVar(&p.gatewayTime, "gateway", 100*time.Millisecond, "`time` that an event gateway takes to answer; assumed")
	flags.Float64Var(&p.published, "event-bytes", 1000, "`bytes` of a published event")
	flags.Float64Var(&p.logged, "log-bytes", 1000, "`bytes` of a stored log line; assumed")
	flags.Float64Var(&p.requestLog, "request-log-bytes", 1200, "`bytes` that Cloud Run itself logs of a request; assumed")
	flags.Float64Var(&p.sent, "sent-bytes", 2000, "`bytes` that an event sends to the gateway; assumed")
	flags.Float64Var(&p.inFlight, "in-flight", 20, "`events` that an instance has in flight on average, 80 at most; assumed")
}

// good reports whether the figures can be.
func (p eventPlan) good() bool {
	return p.inFlight >= 1 && p.inFlight <= 80 && p.gatewayTime > 0 && p.cpu > 0
}

// paid is the time of an instance that an event is charged: its share of the
// time in which events are in flight, but no less than its CPU.
func (p eventPlan) paid() float64 {
	return max((p.gatewayTime+p.cpu).Seconds()/p.inFlight, p.cpu.Seconds()/p.vcpu)
}

// Parts of an event's bill that a virtual machine would not have.
const (
	cloudRunCPU      = "Cloud Run CPU"
	cloudRunMemory   = "Cloud Run memory"
	cloudRunRequests = "Cloud Run requests"
)

// bill is what a million events cost.
func (p eventPlan) bill() []item {
	message := max(p.published, messageBytes)
	return []item{
		{"Pub/Sub, publish", million * message * messagePrice},
		{"Pub/Sub, push", million * message * messagePrice},
		{cloudRunRequests, million * requestPrice},
		{cloudRunCPU, million * p.paid() * p.vcpu * vcpuPrice},
		{cloudRunMemory, million * p.paid() * p.memory * memoryPrice},
		{"Firestore reads", million * p.reads * readPrice},
		{"log, success line", million * p.logged / gib * logPrice},
		{"log of requests", million * p.requestLog / gib * logPrice},
		{"egress", million * p.sent / gib * egressPrice},
	}
}

// lever is a way to pay less, or what happens without one.
type lever struct {
	name   string
	change func(*eventPlan)
}

// levers are the columns of the bill. Fewer events are no column: everything
// falls in proportion.
var levers = []lever{
	{"as given", func(*eventPlan) {}},
	{"1 in flight", func(p *eventPlan) { p.inFlight = 1 }},
	{"80 in flight", func(p *eventPlan) { p.inFlight = 80 }},
	{"seen lately", func(p *eventPlan) { p.reads = 0 }},
	{"log 1 in 100", func(p *eventPlan) { p.logged, p.requestLog = p.logged/100, p.requestLog/100 }},
	{"all three", func(p *eventPlan) {
		p.inFlight, p.reads, p.logged, p.requestLog = 80, 0, p.logged/100, p.requestLog/100
	}},
}

func (p eventPlan) write(out io.Writer) error {
	fmt.Fprintf(out, "\nUS dollars for a million events of one grant each: %v of CPU, the gateway answers in %v, %g in flight in an instance, %g reads\n\n",
		p.cpu, p.gatewayTime, p.inFlight, p.reads)
	table := newTable(out)
	bills := make([][]item, len(levers))
	for i, l := range levers {
		changed := p
		l.change(&changed)
		bills[i] = changed.bill()
		fmt.Fprintf(table, "\t%s", l.name)
	}
	fmt.Fprint(table, "\t")
	sums := make([]float64, len(levers))
	for line, part := range bills[0] {
		fmt.Fprintf(table, "\n%s\t", part.name)
		for i, bill := range bills {
			sums[i] += bill[line].dollars
			fmt.Fprintf(table, "%.2f\t", bill[line].dollars)
		}
	}
	fmt.Fprint(table, "\nsum\t")
	for _, sum := range sums {
		fmt.Fprintf(table, "%.2f\t", sum)
	}
	fmt.Fprintln(table)
	if err := table.Flush(); err != nil {
		return err
	}
	return p.writeMachine(out)
}

// writeMachine compares Cloud Run with a virtual machine that is always there.
// All else costs the same with either.
func (p eventPlan) writeMachine(out io.Writer) error {
	var replaced float64
	for _, part := range p.bill() {
		switch part.name {
		case cloudRunCPU, cloudRunMemory, cloudRunRequests:
			replaced += part.dollars
		}
	}
	two := 2 * machinePrice * month.Hours()
	equal := two / replaced
	most := machineCPU / p.cpu.Seconds()
	_, err := fmt.Fprintf(out, "\nTwo e2-small, one for when the other fails, take %.2f dollars a month, as Cloud Run does for %.0f million events, %.1f a second.\n"+
		"By CPU alone one could send %.0f a second for as long as it likes.\n", two, equal, equal*million/month.Seconds(), most)
	return err
}
