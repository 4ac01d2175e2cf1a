import { api, path } from '../../api/client';
import { t } from '../../texts';
import { type RecordKind, Records, text } from '../records/Records';
import { CpuModelDialog } from './CpuModelDialog';
import { CPU_MODELS } from './flags';

const words = t.cpuModel;

const KIND: RecordKind = {
  list: CPU_MODELS,
  nameOf: (row) => String(row.cputype),
  columns: [
    [words.name, (row) => <span className="mono">{text(row, 'cputype')}</span>],
    [words.base, (row) => <span className="mono">{text(row, 'reported-model')}</span>],
    [
      words.flags,
      (row) => (
        <span className="mono" title={text(row, 'flags')}>
          {text(row, 'flags').split(';').join(' ') || words.plain}
        </span>
      ),
    ],
  ],
  empty: { icon: 'cpu', title: words.none, text: words.noneText },
  own: {
    title: words.add,
    dialog: (row, onClose) => <CpuModelDialog model={row} onClose={onClose} />,
  },
  remove: (row) => api.delete(`${CPU_MODELS}${path(String(row.cputype))}`),
  removes: () => words.removes,
};

/** Processor models of the cluster's own. */
export default function CpuModels() {
  return <Records kind={KIND} />;
}
