import { closeDialog, type OpenDialog } from '../actions/dialogs';
import { Clone } from './Clone';
import { Destroy } from './Destroy';
import { Migrate } from './Migrate';
import { MigrateAll } from './MigrateAll';
import { Stop, Template } from './Power';
import { Run } from './Run';
import { TakeSnapshot } from './TakeSnapshot';

/** The open dialog; loaded when the first one opens. */
export default function Dialogs({ dialog: { kind, guests } }: { dialog: OpenDialog }) {
  const [guest] = guests;
  if (!guest) return null;
  const props = { guest, onClose: closeDialog };
  switch (kind) {
    case 'clone':
      return <Clone {...props} />;
    case 'exec':
      return <Run {...props} />;
    case 'migrate':
      return guests.length > 1 ? (
        <MigrateAll guests={guests} onClose={closeDialog} />
      ) : (
        <Migrate {...props} />
      );
    case 'snapshot':
      return <TakeSnapshot {...props} />;
    case 'template':
      return <Template {...props} />;
    case 'destroy':
      return <Destroy {...props} />;
    case 'stop':
    case 'reset':
      return <Stop kind={kind} guests={guests} onClose={closeDialog} />;
  }
}
