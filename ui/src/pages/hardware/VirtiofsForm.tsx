import { plain } from '../../format';
import { t } from '../../texts';
import { useMappings } from '../mappings/devices';
import { type FormProps, Properties } from './Properties';
import { parse } from './propertyString';

const words = t.hw.virtiofs;

/** Which folder of the node the guest can mount, and the command by which it does. */
export function VirtiofsForm(props: FormProps) {
  const { field, node, value } = props;
  const { data, error } = useMappings('dir', node);
  const name = parse(field, value).get('dirid');
  return (
    <>
      <Properties
        {...props}
        texts={words.properties}
        offers={{ dirid: data.map(({ id }) => id) }}
      />
      {name ? (
        <p className="hint">
          {words.mount} <code>mount -t virtiofs {plain(name)} /mnt</code>
        </p>
      ) : (
        !error && data.length === 0 && <p className="hint">{words.none}</p>
      )}
    </>
  );
}
