import './workers.js';
import { useEffect, useMemo } from 'react';
import { createRoot } from 'react-dom/client';
import { GraphiQL } from 'graphiql';
import { connect } from './endpoint.js';
import { lights, useToken } from './token.js';
import hinge from './favicon.svg';
import doors from './operations/doors.graphql';
import watch from './operations/watch.graphql';
import unlock from './operations/unlock.graphql';

const logo = new URL(hinge, import.meta.url).href; // the build names it beside the script

const tabs = [
  { query: doors },
  { query: watch },
  { query: unlock, variables: '{\n  "doorId": "door_"\n}' },
];

function Bar({ token, light, setToken }) {
  return (
    <header className="cardea-bar">
      <img src={logo} alt="" width="26" height="26" />
      <h1>Cardea</h1>
      <form onSubmit={(event) => event.preventDefault()}>
        <label htmlFor="token">API token</label>
        <input
          id="token"
          type="password"
          autoComplete="off"
          spellCheck={false}
          placeholder="cardea_…"
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
      </form>
      <output className="cardea-light" htmlFor="token" data-light={light}>
        {lights[light]}
      </output>
    </header>
  );
}

function Page() {
  const { token, light, setToken } = useToken();
  const endpoint = useMemo(() => connect(token), [token]);
  useEffect(() => endpoint.close, [endpoint]);

  // The schema is asked for as somebody, and then only: null tells GraphiQL not to ask.
  return (
    <>
      <Bar token={token} light={light} setToken={setToken} />
      <GraphiQL
        fetcher={endpoint.fetcher}
        schema={light === 'works' || light === 'signedIn' ? undefined : null}
        defaultTabs={tabs}
        defaultEditorToolsVisibility="variables"
        isHeadersEditorEnabled={false}
        showPersistHeadersSettings={false}
        inputValueDeprecation
        schemaDescription
      >
        <GraphiQL.Logo>
          <span />
        </GraphiQL.Logo>
      </GraphiQL>
    </>
  );
}

createRoot(document.getElementById('page')).render(<Page />);
