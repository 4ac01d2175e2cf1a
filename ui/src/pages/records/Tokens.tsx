import { type ReactNode, useState } from 'react';
import { api, path } from '../../api/client';
import { useSession } from '../../api/session';
import { dateTime } from '../../format';
import { t } from '../../texts';
import { type RecordKind, Records, type Row, text } from './Records';
import { Secret, type Shown } from './Secret';

const words = t.records;

/** The list of users has the tokens of each. */
export function tokenRows(users: Row[]): Row[] {
  return users.flatMap((user) =>
    ((user.tokens as Row[] | undefined) ?? []).map((token) => ({
      ...token,
      userid: user.userid,
      full: `${user.userid}!${token.tokenid}`,
    })),
  );
}

const address = (row: Row) =>
  path('access', 'users', String(row.userid), 'token', String(row.tokenid));

export function Tokens({ choice }: { choice: ReactNode }) {
  const session = useSession();
  const user = session.state === 'in' ? session.user : '';
  const [shown, setShown] = useState<Shown>();
  const kind: RecordKind = {
    list: '/access/users?full=1',
    rowsOf: tokenRows,
    nameOf: (row) => String(row.full),
    columns: [
      [words.token, (row) => <span className="mono">{text(row, 'full')}</span>],
      [words.ownRights, (row) => (Number(row.privsep) ? t.guestPage.yes : t.guestPage.no)],
      [words.expires, (row) => (row.expire ? dateTime(Number(row.expire)) : words.never)],
      [words.comment, (row) => text(row, 'comment')],
    ],
    empty: { icon: 'key', title: words.noTokens, text: words.noTokensText },
    add: {
      operation: 'token_create',
      method: 'POST',
      path: ({ userid = '', tokenid = '' }) => path('access', 'users', userid, 'token', tokenid),
      title: words.addToken,
      submit: words.add,
      fields: ['userid', 'tokenid', 'privsep', 'expire', 'comment'],
      values: { userid: user },
      onAnswer: (answer) => {
        const token = answer as { 'full-tokenid': string; value: string };
        setShown({
          title: words.secretTitle,
          text: words.secretText,
          label: token['full-tokenid'],
          secret: token.value,
        });
      },
    },
    remove: (row) => api.delete(address(row)),
  };
  return (
    <>
      <Records kind={kind}>{choice}</Records>
      {shown && <Secret shown={shown} onClose={() => setShown(undefined)} />}
    </>
  );
}
