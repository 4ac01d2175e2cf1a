import { Modal } from '@mantine/core';
import { t } from '../texts';
import { setView } from './view';

/** The list of keys. */
export default function KeysHelp() {
  const { list } = t.keys;
  const groups: [string, string[][]][] = [
    [t.keys.everywhere, list.everywhere],
    [t.keys.table, list.table],
    [t.keys.guest, list.guest],
  ];
  return (
    <Modal opened size="lg" title={t.keys.title} onClose={() => setView({ isHelpOpen: false })}>
      <div className="khs">
        {groups.map(([title, keys]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([key, what]) => (
                <div key={key}>
                  <dt>
                    {key?.split(' ').map((part) => (
                      <kbd key={part}>{part}</kbd>
                    ))}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
