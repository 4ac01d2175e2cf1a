// Upstream's etcd, unchanged: this module only pins its version and builds it from source.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
