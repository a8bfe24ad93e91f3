// Command pause is the first process of every pod: it keeps the pod's namespaces alive while containers come and go,
// and collects processes whose parents have ended.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			// One signal may stand for several children.
			ended, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if ended <= 0 && err != syscall.EINTR {
				break
			}
		}
	}
}
