import { Checkbox } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ComponentType, type FormEvent, useEffect, useState } from 'react';
import { type GuestType, KINDS } from '../../actions/kinds';
import { ApiError, api, path } from '../../api/client';
import { guestAppears, useInventory } from '../../api/stream';
import { errorText, followTask } from '../../api/tasks';
import { gib } from '../../format';
import { Button } from '../../parts/Button';
import { CodeBox } from '../../parts/CodeBox';
import { Icon } from '../../parts/Icon';
import { PageHead } from '../../parts/Page';
import { Panel } from '../../parts/Panel';
import { Segmented } from '../../parts/Segmented';
import { guestAddress } from '../../shell/treeRows';
import { t } from '../../texts';
import { commandOf, NEXT_LINE, quoted, requestOf } from '../hardware/change';
import { Cards, ContainerOptions, Dns, Limits, Storage, Template } from './containerSections';
import { type Draft, paramsOfDraft, problemsOf } from './draft';
import {
  Cloud,
  Compute,
  Disks,
  General,
  Network,
  Options,
  type Props,
  SourceSection,
} from './sections';
import { useDraft, useVolumesOf } from './useDraft';

const words = t.create;
const MIB = 2 ** 20;
/** A new guest is in the lists after a moment. */
const APPEARS_MS = 3000;

type Section = { name: string; part: ComponentType<Props> };

const names = words.sections;

const CONTAINER_SECTIONS: Section[] = [
  { name: names.general, part: General },
  { name: names.template, part: Template },
  { name: names.limits, part: Limits },
  { name: names.disks, part: Storage },
  { name: names.network, part: Cards },
  { name: names.dns, part: Dns },
  { name: names.options, part: ContainerOptions },
];

function sectionsOf(draft: Draft): Section[] {
  if (draft.kind === 'lxc') return CONTAINER_SECTIONS;
  const sections: Section[] = [
    { name: names.general, part: General },
    { name: names.source, part: SourceSection },
    { name: names.compute, part: Compute },
    { name: names.disks, part: Disks },
    { name: names.network, part: Network },
  ];
  if (draft.source === 'image') sections.push({ name: names.cloud, part: Cloud });
  sections.push({ name: names.options, part: Options });
  return sections;
}

function Fits({ draft }: { draft: Draft }) {
  const { nodes } = useInventory();
  const needs = draft.memory * MIB;
  return (
    <Panel title={words.fits} aux={words.fitsBy}>
      <ul className="fits">
        {nodes.map((node) => {
          const free = Math.max(0, (node.maxmem ?? 0) - (node.mem ?? 0));
          const isOnline = node.status === 'online';
          const fits = isOnline && free >= needs;
          const tone = !isOnline ? 'unknown' : fits ? 'running' : 'warning';
          return (
            <li key={node.id}>
              {node.node === draft.node ? (
                <b>{node.node}</b>
              ) : (
                <span className="t2">{node.node}</span>
              )}
              <span className="t2">
                {isOnline ? words.has(gib(free), gib(needs)) : t.dc.notReporting}
              </span>
              <span className={`st tone t-${tone}`}>
                <Icon name={fits ? 'check' : isOnline ? 'warn' : 'x'} className="s" />
                {!fits ? words.fitsNo : node.node === draft.node ? words.chosen : words.fitsYes}
              </span>
            </li>
          );
        })}
      </ul>
    </Panel>
  );
}

function Equivalent({ draft }: { draft: Draft }) {
  const params = paramsOfDraft(draft);
  const { vmid, ostemplate, ...rest } = params;
  const create = `${KINDS[draft.kind].command} create ${vmid}`;
  const start = ostemplate ? [create, quoted(String(ostemplate))].join(NEXT_LINE) : create;
  const secret = words.passwordShown;
  return (
    <>
      <CodeBox title={t.hw.command} text={commandOf(start, rest, secret)} />
      <CodeBox
        title={t.hw.api}
        text={requestOf('POST', path('nodes', draft.node, draft.kind), params, secret)}
      />
    </>
  );
}

function useCreate() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [failure, setFailure] = useState<{ text?: string; fields: Record<string, string> }>({
    fields: {},
  });
  const [isBusy, setIsBusy] = useState(false);
  const create = async (draft: Draft) => {
    setIsBusy(true);
    setFailure({ fields: {} });
    try {
      const address = path('nodes', draft.node, draft.kind);
      const upid = await api.post<string>(address, paramsOfDraft(draft));
      followTask(client, `${t.guests.create} ${draft.vmid} ${draft.name}`, upid);
      void client.invalidateQueries({ queryKey: ['nextid'] });
      const isThere = await guestAppears(draft.vmid, APPEARS_MS);
      await navigate({ href: isThere ? guestAddress(draft) : '/datacenter/guests' });
    } catch (error) {
      const fields = error instanceof ApiError ? error.fields : {};
      setFailure({ text: errorText(error), fields });
    }
    setIsBusy(false);
  };
  return { create, failure, isBusy };
}

export default function Create() {
  const [mode, setMode] = useState<'steps' | 'page'>('steps');
  const [at, setAt] = useState(0);
  const { kind } = useSearch({ strict: false }) as { kind?: string };
  const { draft, set, bridges, storages, isTaken } = useDraft(kind === 'lxc' ? 'lxc' : 'qemu');
  const isos = useVolumesOf(draft.node, 'iso');
  const images = useVolumesOf(draft.node, 'import');
  const templates = useVolumesOf(draft.node, 'vztmpl');
  const navigate = useNavigate();
  const { create, failure, isBusy } = useCreate();
  const sections = sectionsOf(draft);
  const step = Math.min(at, sections.length - 1);
  const isLast = mode === 'page' || step === sections.length - 1;
  const fields = isTaken ? { vmid: t.create.taken(draft.vmid), ...failure.fields } : failure.fields;
  const props: Props = { draft, set, fields, storages, bridges, isos, images, templates };
  const [problem] = problemsOf(draft);
  const isReady = !problem && !isTaken && !isBusy;
  useEffect(() => {
    // A refusal may be of a field that another step has.
    if (failure.text) setMode('page');
  }, [failure.text]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!isLast) setAt(step + 1);
    else if (isReady) void create(draft);
  };
  const shown = mode === 'page' ? sections : sections.slice(step, step + 1);
  return (
    <form className="create" onSubmit={submit}>
      <PageHead
        glyph={<Icon name="plus" className="pic" />}
        title={words.title}
        actions={
          <>
            <Segmented<GuestType>
              label={words.kind}
              value={draft.kind}
              options={[
                ['qemu', words.kinds.qemu],
                ['lxc', words.kinds.lxc],
              ]}
              onChange={(next) => {
                setAt(0);
                void navigate({ href: `/create?kind=${next}`, replace: true });
              }}
            />
            <Segmented
              label={words.title}
              value={mode}
              options={[
                ['steps', words.step],
                ['page', words.one],
              ]}
              onChange={setMode}
            />
          </>
        }
      />
      {mode === 'steps' && (
        <nav className="tabs" aria-label={words.step}>
          {sections.map((section, index) => (
            <button
              key={section.name}
              type="button"
              aria-current={index === step ? 'step' : undefined}
              onClick={() => setAt(index)}
            >
              <span className="n">{index + 1}</span> {section.name}
            </button>
          ))}
        </nav>
      )}
      <div className="cw">
        <div className="cl">
          {shown.map(({ name, part: Part }) => (
            <section key={name} className="cs">
              <h2>{name}</h2>
              <div className="cs-in">
                <Part {...props} />
              </div>
            </section>
          ))}
        </div>
        <div className="cr">
          <Fits draft={draft} />
          <Equivalent draft={draft} />
        </div>
      </div>
      {failure.text && (
        <p className="cfail hint e" role="alert">
          {failure.text}
        </p>
      )}
      <div className="cf">
        <Checkbox
          label={words.start}
          checked={draft.start}
          onChange={(event) => set({ start: event.target.checked })}
        />
        <span className="grow" />
        {problem && <span className="muted">{words.missing[problem]}</span>}
        {mode === 'steps' && step > 0 && (
          <Button onClick={() => setAt(step - 1)}>{words.back}</Button>
        )}
        <Button type="submit" kind={isLast ? 'pri' : ''} disabled={isLast && !isReady}>
          {isLast ? words.submit : words.next}
        </Button>
        {!isLast && (
          <Button kind="pri" disabled={!isReady} onClick={() => void create(draft)}>
            {words.submit}
          </Button>
        )}
      </div>
    </form>
  );
}
