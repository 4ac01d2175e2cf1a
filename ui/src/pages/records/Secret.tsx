import { Modal } from '@mantine/core';
import { Button } from '../../parts/Button';
import { CodeBox } from '../../parts/CodeBox';
import { t } from '../../texts';

export type Shown = { title: string; text: string; label: string; secret: string };

/** A secret that is shown once and kept nowhere. */
export function Secret({ shown, onClose }: { shown: Shown; onClose: () => void }) {
  return (
    <Modal opened title={shown.title} onClose={onClose} closeOnClickOutside={false}>
      <div className="dialog">
        <p className="t2">{shown.text}</p>
        <CodeBox title={shown.label} text={shown.secret} />
        <div className="modal-foot">
          <Button kind="pri" onClick={onClose}>
            {t.close}
          </Button>
        </div>
      </div>
    </Modal>
  );
}
