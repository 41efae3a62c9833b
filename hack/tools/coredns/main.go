// CoreDNS with the few plugins that a cluster without an outside needs. The stock program carries
// the client libraries of several clouds and takes minutes to build; and Kubernetes' own libraries
// are taken at the version that the rest of the cluster has been built with.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	coremain.Run()
}
