package uhppote

import "context"

func (c controller) cards(ctx context.Context) (uint32, error) {
	reply, err := c.ask(ctx, newPacket(fnCards, c.serial))
	return reply.uint32(8), err
}

// cardAt returns a card by its index, from 1; none has the number 0.
func (c controller) cardAt(ctx context.Context, index uint32) (card, error) {
	request := newPacket(fnCardByIndex, c.serial)
	request.setUint32(8, index)
	reply, err := c.ask(ctx, request)
	if err != nil {
		return card{}, err
	}
	return reply.card()
}

// card returns a card by its number, as it is there; none has the number 0.
func (c controller) card(ctx context.Context, number uint32) (card, error) {
	request := newPacket(fnCard, c.serial)
	request.setUint32(8, number)
	reply, err := c.ask(ctx, request)
	if err != nil {
		return card{}, err
	}
	return reply.card()
}

func (c controller) deleteCard(ctx context.Context, number uint32) error {
	request := newPacket(fnDeleteCard, c.serial)
	request.setUint32(8, number)
	return c.agree(ctx, request)
}

func (c controller) profile(ctx context.Context, id byte) (profile, error) {
	request := newPacket(fnProfile, c.serial)
	request[8] = id
	reply, err := c.ask(ctx, request)
	if err != nil {
		return profile{}, err
	}
	return reply.profile()
}
