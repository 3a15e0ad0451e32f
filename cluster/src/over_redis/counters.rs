use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::Script;
use tokio::time::timeout;

use super::server::Server;
use crate::{
    ClusterError, ClusterResult,
    counters::{
        Counters, Limit, Taken, UsedUp,
        window::{CLOCK_SLACK, EXACT, PARTS},
    },
};

/// The same arithmetic as [`Window`](crate::counters::window::Window), by the server's clock. KEYS: a window for each limit;
/// ARGV: limit and interval of each. A window is packed as {latest, at, count, at, count, …}.
///
/// Answers {0, at, …} when the request was counted in all, else {index, ms to wait}.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    let head = format!("local EXACT, PARTS, SLACK = {EXACT}, {PARTS}, {CLOCK_SLACK}");
    let body = r"
        local time = redis.call('TIME')
        local clock = time[1] * 1000 + math.floor(time[2] / 1000)
        local windows = {}
        for i = 1, #KEYS do
            local limit, interval = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
            local packed = redis.call('GET', KEYS[i])
            local known = packed and cmsgpack.unpack(packed) or {clock}
            local by = known[1] - clock
            if by <= SLACK then by = 0 end
            local window, total = {math.max(known[1] - by, clock)}, 0
            local now = window[1]
            for j = 2, #known, 2 do
                local at = known[j] - by
                if at + interval >= now then
                    window[#window + 1] = at
                    window[#window + 1] = known[j + 1]
                    total = total + known[j + 1]
                end
            end
            if total >= limit then
                local left, free = total, now
                for j = 2, #window, 2 do
                    left = left - window[j + 1]
                    if left < limit then free = window[j] + interval break end
                end
                return {i, free - now + 1}
            end
            windows[i] = window
        end
        local answer = {0}
        for i = 1, #KEYS do
            local limit, interval, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i]), windows[i]
            local at = window[1]
            if limit > EXACT then
                local part = math.max(math.floor(interval / PARTS), 1)
                at = math.ceil(at / part) * part
            end
            if #window > 1 then at = math.max(at, window[#window - 1]) end
            if #window > 1 and window[#window - 1] == at then
                window[#window] = window[#window] + 1
            else
                window[#window + 1] = at
                window[#window + 1] = 1
            end
            redis.call('SET', KEYS[i], cmsgpack.pack(window), 'PX', at + interval - window[1] + SLACK + 1)
            answer[i + 1] = at
        end
        return answer";
    Script::new(&format!("{head}{body}"))
});

/// KEYS: windows; ARGV: the moment by which each remembers the request.
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        for i = 1, #KEYS do
            local packed = redis.call('GET', KEYS[i])
            local window = packed and cmsgpack.unpack(packed) or {}
            for j = 2, #window, 2 do
                if window[j] == tonumber(ARGV[i]) then
                    window[j + 1] = window[j + 1] - 1
                    if window[j + 1] == 0 then
                        table.remove(window, j)
                        table.remove(window, j)
                    end
                    redis.call('SET', KEYS[i], cmsgpack.pack(window), 'KEEPTTL')
                    break
                end
            end
        end
        return 0",
    )
});

impl Server {
    async fn ask_soon(&self, script: &'static Script, keys: Vec<String>, args: Vec<u64>) -> ClusterResult<Vec<u64>> {
        if !*self.signals.reachable.borrow() {
            return Err(ClusterError::Unavailable("there is no connection at the moment".to_owned()));
        }
        let asked = self.ask(move |mut redis| async move {
            let mut call = script.prepare_invoke();
            for key in keys {
                call.key(key);
            }
            for arg in args {
                call.arg(arg);
            }
            call.invoke_async::<redis::Value>(&mut redis).await.and_then(|value| match value {
                redis::Value::Int(_) => Ok(vec![]),
                value => Ok(redis::from_redis_value(value)?),
            })
        });
        timeout(self.patience, asked).await.unwrap_or_else(|_| {
            // Until the listener has tried again, others need not wait as long.
            self.signals.set_reachable(false);
            Err(ClusterError::Unavailable("no answer in time for a request".to_owned()))
        })
    }

    fn windows(&self, limits: &[Limit]) -> Vec<String> {
        limits.iter().map(|limit| self.keys.limit(&limit.counter)).collect()
    }
}

#[async_trait]
impl Counters for Server {
    async fn take(&self, limits: &[Limit]) -> ClusterResult<Result<Taken, UsedUp>> {
        let interval = |limit: &Limit| u64::try_from(limit.interval.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 40);
        let args = limits.iter().flat_map(|limit| [u64::from(limit.limit), interval(limit)]).collect();
        let answer = self.ask_soon(&TAKE, self.windows(limits), args).await?;
        match *answer.as_slice() {
            [0, ref taken @ ..] => Ok(Ok(Taken(taken.to_vec()))),
            [index, wait] => {
                let index = usize::try_from(index - 1).unwrap_or(0);
                Ok(Err(UsedUp { index, wait: Duration::from_millis(wait.max(1)) }))
            }
            _ => Err(ClusterError::Refused("the counters answer what they should not".to_owned())),
        }
    }

    async fn give_back(&self, limits: &[Limit], taken: &Taken) -> ClusterResult<()> {
        self.ask_soon(&GIVE_BACK, self.windows(limits), taken.0.clone()).await.map(drop)
    }
}
