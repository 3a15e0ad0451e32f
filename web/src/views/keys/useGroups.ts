import { computed, ref, watch } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { api, unwrap } from '@/api/client'
import type { Schemas } from '@/api/types'
import { useAction } from '@/composables/useAction'
import { useMedia } from '@/composables/useMedia'
import { useResource } from '@/composables/useResource'
import { changedPositions, moved } from './order'

export type Group = Schemas['Group']

/** All groups, the one that is looked at (in the address as `groupId`), and their order. */
export function useGroups() {
  const route = useRoute()
  const router = useRouter()
  const { isPhone } = useMedia()
  const groups = useResource(signal => unwrap(api.GET('/api/groups', { signal })), { live: ['groups', 'keys'] })
  /** What was dragged, until the server has it. */
  const dragged = ref<number[]>([])
  const search = ref('')

  const all = computed(() => {
    const loaded = groups.data.value ?? []
    const place = (group: Group) => dragged.value.indexOf(group.id)
    return dragged.value.length > 0 ? [...loaded].sort((one, other) => place(one) - place(other)) : loaded
  })
  const shown = computed(() => {
    const wanted = search.value.trim().toLowerCase()
    return all.value.filter(group => isMatch(group, wanted))
  })
  const selected = computed(() => all.value.find(group => group.id === Number(route.query.groupId)))
  const isEmpty = computed(() => groups.data.value?.length === 0)

  /** On a phone nothing is selected at first: the list is a screen of its own there. */
  watch([all, selected, isPhone], () => {
    const first = all.value[0]
    if (!selected.value && first && !isPhone.value && route.name === 'keys') void select(first.id, true)
  })

  function select(id: number | null, isReplacing = false) {
    const query = id === null ? {} : { groupId: id }
    return isReplacing ? router.replace({ query }) : router.push({ query })
  }

  const store = useAction((items: { id: number; sort: number }[]) =>
    unwrap(api.PUT('/api/groups/reorder', { body: { items } })).then(() => true)
  )

  /** Takes a group to another place; answers whether it is there now. */
  async function move(from: number, to: number): Promise<boolean> {
    if (store.isRunning.value || to < 0 || to >= all.value.length || from === to) return false
    const order = moved(all.value, from, to)
    dragged.value = order.map(group => group.id)
    const isStored = await store.run(changedPositions(order))
    await groups.refresh()
    dragged.value = []
    return isStored ?? false
  }

  return { groups, all, shown, selected, isEmpty, search, select, move }
}

function isMatch({ name, display_name, description, channel_type }: Group, wanted: string): boolean {
  return [name, display_name, description, channel_type].some(text => text.toLowerCase().includes(wanted))
}

export type Groups = ReturnType<typeof useGroups>
