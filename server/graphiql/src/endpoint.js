// The one address this page talks to. Queries carry the token in a header, subscriptions in
// connection_init: a browser cannot set headers on a WebSocket, and URLs never carry secrets.
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { createClient } from 'graphql-ws';

const url = new URL('graphql', location.href);
url.hash = url.search = '';

function credentials(token) {
  return token ? { authorization: `Bearer ${token}` } : {};
}

export function connect(token) {
  const socketURL = Object.assign(new URL(url), {
    protocol: url.protocol === 'https:' ? 'wss:' : 'ws:',
  });
  const socket = createClient({
    url: socketURL.href,
    connectionParams: credentials(token),
    // 4403 is a token that is not good: asking again would not make it so.
    shouldRetry: (end) => end instanceof CloseEvent && end.code !== 4403,
  });
  const fetcher = createGraphiQLFetcher({
    url: url.href,
    headers: credentials(token),
    wsClient: socket,
    enableIncrementalDelivery: false,
  });
  return { fetcher, close: () => socket.dispose() };
}

// Answers 'works', 'refused' or 'unreachable'.
export async function probe(token, signal) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...credentials(token) },
    body: JSON.stringify({ query: '{ viewer { __typename } }' }),
    signal,
  });
  if (response.status === 401 || response.status === 403) return 'refused';
  if (!response.ok) return 'unreachable';
  const { data, errors } = await response.json();
  if (data?.viewer) return 'works';
  const code = errors?.[0]?.extensions?.code;
  return code === 'UNAUTHENTICATED' || code === 'FORBIDDEN' ? 'refused' : 'unreachable';
}
