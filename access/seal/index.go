package seal

import "github.com/cardea/cardea/typeid"

// indexSize is that of an index. Two values meet by chance after some 2^64.
const indexSize = 16

// Indexes returns what stands in a unique index for a value that must not be readable, one of 16
// bytes for each key, newest first: write the first, look up all. Without a key's secret it cannot
// be told of which value it is; with it, and few possible values, it can.
func (k *Keyring) Indexes(org typeid.Organization, domain string, value []byte) [][]byte {
	indexes := make([][]byte, len(k.keys))
	for i, key := range k.keys {
		indexes[i] = mac(key.index, org, domain, value)[:indexSize:indexSize]
	}
	return indexes
}
