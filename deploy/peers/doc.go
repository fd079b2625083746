// Package peers holds programs that use what others wrote, beside which this log is
// measured and by which it is read. They are a module of their own, so that the
// service depends on none of it.
package peers
