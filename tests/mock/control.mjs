// control.mjs - the controls of the scriptable model (model.py), for tests on Node.
//
// Environment: MOCK_URL  where it is

let scripts = 0;

async function control(method, path, value) {
  const answer = await fetch(process.env.MOCK_URL + path, {
    method,
    body: value === undefined ? undefined : JSON.stringify(value),
  });
  if (!answer.ok) throw new Error(`mock: ${method} ${path} answered ${answer.status}`);
  return answer.json();
}

// A script on the mock; each behaviour is a list of steps, see model.py.
export async function script(...behaviours) {
  const name = `node-${process.pid}-${++scripts}`;
  await control('PUT', `/_script/${name}`, behaviours);
  const log = () => control('GET', `/_log/${name}`);
  return {
    prompt: `Hello [[${name}]]`,
    open: (gate) => control('POST', `/_gate/${name}/${gate}`),
    log,
    requests: async () => (await log()).map((record) => JSON.parse(record.body)),
    wait: (state) => control('GET', `/_wait/${name}?state=${state}`),
  };
}
