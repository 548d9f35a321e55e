package seal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/cardea/cardea/typeid"
)

// TestHashingWaitsItsTurn fills every slot: who comes then waits, and leaves when ctx ends.
func TestHashingWaitsItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := Random()
		k.slots = make(chan struct{}, 1)
		k.slots <- struct{}{}
		org := typeid.New[typeid.Organization]()
		ctx, cancel := context.WithCancel(t.Context())
		left, hashed := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := k.VerifyPIN(ctx, org, "493127", "")
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("left with %v", err)
		}
		go func() {
			_, err := k.HashPIN(t.Context(), org, "493127")
			hashed <- err
		}()
		synctest.Wait()
		select {
		case err := <-hashed:
			t.Fatalf("did not wait: %v", err)
		default:
		}
		<-k.slots
		if err := <-hashed; err != nil {
			t.Error(err)
		}
		if len(k.slots) != 0 {
			t.Error("a slot stays taken")
		}
	})
}
